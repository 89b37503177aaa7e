//! The command line: score, embed, verify.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use semblance::cli::{self, Arguments};
use semblance::telemetry::chain;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Not locked: a server logs to it from other threads.
    let mut out = BufWriter::new(io::stdout());
    match cli::run(arguments, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // What was printed so far stays; if even that fails there is nobody to tell.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "error: {}: {}", failure.code(), chain(&failure));
            ExitCode::FAILURE
        }
    }
}
