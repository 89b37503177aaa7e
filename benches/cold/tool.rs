//! Tools of the system that the bench runs: taskset, sync, fincore, python3.

use std::path::PathBuf;
use std::process::Command;

use crate::error::{Result, in_file};

/// Runs a tool to its end and returns what it wrote.
pub(crate) fn finish(command: &mut Command) -> Result<String> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(in_file(&program))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{}: {}", program.display(), reason.trim()).into())
}
