//! The program, run with arguments and an input.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use semblance_test_support::{bundle, library};
use serde_json::Value;

pub(crate) fn semblance(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semblance"));
    command
        .args(arguments)
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library());
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    semblance(arguments).output().unwrap()
}

pub(crate) fn with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = semblance(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Runs a command that fails; returns its error.
pub(crate) fn error(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr).to_owned()
}

pub(crate) fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
