//! The package as Lambda unpacks and starts it: nothing but its zip, the bundle and the environment.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::runtime_api::{Answer, Kind, RuntimeApi};
use crate::support::{self, repository};

/// The unpacked package, started against a Runtime API.
struct Function {
    api: RuntimeApi,
    process: Child,
    _task_root: TempDir,
}

impl Function {
    fn start() -> Self {
        let zip = repository("target/lambda/similarity/bootstrap.zip");
        assert!(zip.exists(), "the package is missing: run `make package`");
        let task_root = TempDir::new().unwrap();
        let status = Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([zip.as_path(), task_root.path()])
            .status()
            .unwrap();
        assert!(status.success());
        let bootstrap = task_root.path().join("bootstrap");
        // Python's unpacker leaves the modes of the entries out.
        assert!(Command::new("chmod").arg("+x").arg(&bootstrap).status().unwrap().success());
        let api = RuntimeApi::start().unwrap();
        let process = Command::new(bootstrap)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.url())
            .env("AWS_LAMBDA_FUNCTION_NAME", "similarity")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1280")
            .env("LAMBDA_TASK_ROOT", task_root.path())
            .env("SEMBLANCE_BUNDLE", support::bundle())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { api, process, _task_root: task_root }
    }

    fn invoke(&self, event: &[u8]) -> (Kind, Value) {
        let Answer { kind, body, .. } = self.api.invoke(event).expect("an answer in time");
        (kind, serde_json::from_slice(&body).unwrap())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_package_answers_with_nothing_but_what_lambda_gives_it() {
    let function = Function::start();
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
