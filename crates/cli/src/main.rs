//! The command line `semblance`.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use semblance_cli::{Arguments, run, visible};
use semblance_process::chain;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Standard output is not locked, because a server logs to it from other threads.
    let mut out = BufWriter::new(io::stdout());
    match run(arguments, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Flush the output so far. An error here is ignored, because the command already failed.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "error: {}: {}", error.code(), visible(&chain(&error)));
            ExitCode::FAILURE
        }
    }
}
