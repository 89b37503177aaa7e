//! The commands `completions` and `manual`, generated from the declared arguments.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory as _;

use crate::arguments::{Arguments, CompletionsArguments, ManualArguments};
use crate::error::CommandError;

/// Name of the program.
const PROGRAM: &str = "semblance";

/// Runs `completions`.
pub(super) fn completions(
    arguments: &CompletionsArguments,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    // The generator panics if it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), PROGRAM, &mut script);
    out.write_all(&script)?;
    Ok(out.flush()?)
}

/// Runs `manual`.
pub(super) fn pages(arguments: &ManualArguments) -> Result<(), CommandError> {
    let folder = arguments.output.as_path();
    let write = |path: &Path, source: io::Error| CommandError::WriteFile {
        path: path.display().to_string(),
        source,
    };
    fs::create_dir_all(folder).map_err(|source| write(folder, source))?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(|source| write(folder, source))
}
