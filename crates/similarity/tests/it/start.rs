//! A start that fails: one JSON line with the cause, and a failing status.

use std::path::Path;
use std::process::{Command, Output};

use semblance_test_support::{Breakable, Function, bundle, flip, library};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The function as Lambda starts it, without a Runtime API: a start that fails needs none.
fn function(bundle: &Path, library: &Path) -> Command {
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .env("SEMBLANCE_BUNDLE", bundle)
        .env("SEMBLANCE_ORT_LIBRARY", library);
    command
}

/// Returns the one line of a start that fails.
fn line_of(output: &Output) -> Value {
    assert!(!output.status.success(), "the start failed");
    let lines: Vec<&str> = str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    serde_json::from_str(lines[0]).unwrap()
}

/// Asserts that a start fails with this code and that its line names this.
fn fails(mut command: Command, code: &str, names: &str) {
    let output = command.output().unwrap();
    let line = line_of(&output);
    println!("{code:28} {}", line["error"].as_str().unwrap_or_default());
    assert_eq!(line["code"], code, "{line}");
    assert_eq!(line["level"], "ERROR");
    assert!(line["error"].as_str().unwrap().contains(names), "{line}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn with_bundle(bundle: &Breakable) -> Command {
    function(bundle.path(), &library())
}

#[test]
fn a_missing_variable_is_named() {
    let mut command = function(&bundle(), &library());
    command.env_remove("SEMBLANCE_BUNDLE");
    fails(command, "config.missing", "SEMBLANCE_BUNDLE");
}

#[test]
fn an_invalid_variable_is_named_with_its_value() {
    let mut command = function(&bundle(), &library());
    command.env("SEMBLANCE_MAX_TEXTS", "plenty");
    fails(command, "config.invalid", "SEMBLANCE_MAX_TEXTS is \"plenty\"");
}

#[test]
fn a_missing_folder_is_named() {
    let command = function(Path::new("/mnt/models/none"), &library());
    fails(command, "bundle.folder_missing", "/mnt/models/none");
}

#[test]
fn a_missing_file_is_named() {
    let bundle = Breakable::new().without("model.weights");
    fails(with_bundle(&bundle), "bundle.file_missing", "model.weights");
}

#[test]
fn a_file_of_another_size_is_named() {
    let bundle = Breakable::new().replace("tokenizer.json", |_| b"{}".to_vec());
    fails(with_bundle(&bundle), "bundle.size_mismatch", "tokenizer.json");
}

#[test]
fn an_unknown_schema_is_named() {
    let bundle = Breakable::new().with_manifest(|manifest| manifest["schema_version"] = json!(9));
    fails(with_bundle(&bundle), "bundle.invalid_manifest", "schema_version: 9");
}

#[test]
fn a_wrong_task_is_named() {
    let bundle = Breakable::new().for_cross_encoder();
    fails(with_bundle(&bundle), "bundle.wrong_task", "cross-encoder");
}

#[test]
fn an_invalid_tokenizer_is_named_with_its_cause() {
    let bundle = Breakable::new().replace("tokenizer.json", |bytes| vec![b'{'; bytes.len()]);
    fails(with_bundle(&bundle), "bundle.invalid_tokenizer", "tokenizer.json is invalid");
}

#[test]
fn an_invalid_vocabulary_is_named_with_its_line() {
    let bundle = Breakable::new().replace("vocabulary.txt", |bytes| vec![b'\n'; bytes.len()]);
    let names = "vocabulary.txt is invalid: line 1: empty";
    fails(with_bundle(&bundle), "bundle.invalid_tokenizer", names);
}

#[test]
fn a_corrupt_graph_is_named_with_its_cause() {
    let bundle = Breakable::new().replace("model.onnx", |bytes| vec![0xff; bytes.len()]);
    fails(with_bundle(&bundle), "bundle.invalid_graph", "model.onnx cannot be loaded: ");
}

#[test]
fn a_flipped_bit_in_the_graph_is_reported() {
    let bundle = Breakable::new().replace("model.onnx", flip);
    let line = line_of(&with_bundle(&bundle).output().unwrap());
    assert!(line["code"].as_str().unwrap().starts_with("bundle.invalid_graph"), "{line}");
}

#[test]
fn a_missing_library_is_named() {
    let command = function(&bundle(), Path::new("/opt/none/libonnxruntime.so"));
    fails(command, "library.not_loaded", "/opt/none/libonnxruntime.so cannot be loaded: ");
}

#[test]
fn an_invalid_library_is_named() {
    let scratch = TempDir::new().unwrap();
    let library = scratch.path().join("libonnxruntime.so");
    std::fs::write(&library, "no library").unwrap();
    fails(function(&bundle(), &library), "library.not_loaded", "libonnxruntime.so");
}

#[test]
fn an_old_library_is_named_with_both_versions() {
    let scratch = TempDir::new().unwrap();
    let library = old_library(scratch.path());
    let names = "is version 1.20.1, but 1.31 or newer is needed";
    fails(function(&bundle(), &library), "library.too_old", names);
}

/// Builds a library that answers as ONNX Runtime 1.20.1 does when asked for its version.
fn old_library(folder: &Path) -> std::path::PathBuf {
    let source = folder.join("old.rs");
    let library = folder.join("libonnxruntime.so");
    let code = r#"
        use std::ffi::{c_char, c_void};
        #[repr(C)]
        pub struct Base {
            api: extern "C" fn(u32) -> *const c_void,
            version: extern "C" fn() -> *const c_char,
        }
        extern "C" fn api(_: u32) -> *const c_void { std::ptr::null() }
        extern "C" fn version() -> *const c_char { c"1.20.1".as_ptr() }
        static BASE: Base = Base { api, version };
        #[unsafe(no_mangle)]
        pub extern "C" fn OrtGetApiBase() -> *const Base { &BASE }
    "#;
    std::fs::write(&source, code).unwrap();
    let status = Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(status.success());
    library
}

#[test]
fn onnx_runtime_collects_nothing() {
    let home = tempfile::tempdir().unwrap();
    let has_entries = || std::fs::read_dir(home.path()).unwrap().next().is_some();
    let started = |value: Option<&str>| {
        let mut command = function(&bundle(), &library());
        command.env("HOME", home.path()).envs(value.map(|value| ("ORT_DISABLE_TELEMETRY", value)));
        // The model is loaded before the Runtime API is asked.
        let output = command.output().unwrap();
        let last = str::from_utf8(&output.stdout).unwrap().lines().last().unwrap();
        let line: Value = serde_json::from_str(last).unwrap();
        assert_eq!(line["code"], "runtime.unreachable", "{line}");
    };
    started(None);
    assert!(!has_entries());
    // Without this, the test could not fail.
    started(Some("0"));
    assert!(has_entries(), "ONNX Runtime writes elsewhere now: look there");
}
