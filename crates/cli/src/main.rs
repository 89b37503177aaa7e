//! The command line `semblance`.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use semblance_cli::{Arguments, run};
use semblance_process::chain;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Not locked: a server logs to it from other threads.
    let mut out = BufWriter::new(io::stdout());
    match run(arguments, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // The output so far is kept. If this fails too, nobody reads it.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "error: {}: {}", failure.code(), chain(&failure));
            ExitCode::FAILURE
        }
    }
}
