//! The package as Lambda unpacks and starts it: its zip, the bundle and the environment.

use std::process::{Command, Stdio};

use semblance_test_support::{Function, Kind, RuntimeApi, bundle, repository};
use tempfile::TempDir;

/// The extracted package; its folder is removed when dropped.
fn unpack() -> TempDir {
    let zip = repository("target/lambda/similarity/bootstrap.zip");
    assert!(zip.exists(), "the package is missing: run `make package`");
    let task_root = TempDir::new().unwrap();
    let status = Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .args([zip.as_path(), task_root.path()])
        .status()
        .unwrap();
    assert!(status.success());
    // Python's unpacker drops the modes of the entries.
    let bootstrap = task_root.path().join("bootstrap");
    assert!(Command::new("chmod").arg("+x").arg(&bootstrap).status().unwrap().success());
    task_root
}

#[test]
fn the_package_runs_in_the_environment_of_lambda() {
    let task_root = unpack();
    let mut command = Function::command("similarity", task_root.path().join("bootstrap"));
    command
        .env("LAMBDA_TASK_ROOT", task_root.path())
        .env("SEMBLANCE_BUNDLE", bundle())
        .stdout(Stdio::null());
    let function = Function::start(RuntimeApi::start().unwrap(), command).unwrap();
    let event = std::fs::read(repository("tests/events/london.json")).unwrap();
    let (kind, answer) = function.invoke(&event);
    assert_eq!(kind, Kind::Response, "{answer}");
    let score = answer["Scores"][0][1].as_f64().unwrap();
    assert!((score - 0.882_352).abs() <= 1e-5, "{score}");
    let (kind, answer) = function.invoke(b"{}");
    assert_eq!((kind, &answer["errorType"]), (Kind::Error, &"request.unknown_event".into()));
}

#[test]
fn the_package_is_within_its_size() {
    let zip = std::fs::metadata(repository("target/lambda/similarity/bootstrap.zip")).unwrap();
    assert!(zip.len() <= 16_000_000, "{} bytes, the limit is 16,000,000", zip.len());
}

#[test]
fn the_package_has_the_licenses_of_its_parts() {
    let task_root = unpack();
    let notices = std::fs::read_to_string(task_root.path().join("THIRD_PARTY.txt")).unwrap();
    for part in
        ["axum ", "tokenizers ", "lambda_runtime ", "ONNX Runtime", "The Rust standard library"]
    {
        assert!(notices.contains(part), "{part}");
    }
    assert!(notices.contains("Apache License") && notices.contains("MIT License"));
}
