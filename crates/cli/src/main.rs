//! The command line `semblance`.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use semblance_cli::{Arguments, Command, run, visible};
use semblance_process::{
    FILE_CHANGED, chain, disable_onnx_telemetry, fail_large_writes, report_changed_files,
};

fn main() -> ExitCode {
    disable_onnx_telemetry();
    let arguments = Arguments::parse();
    handle_signals(&arguments.command);
    // Standard output is not locked, because a server logs to it from other threads.
    let mut out = BufWriter::new(io::stdout());
    // Output that is lost when it is flushed is an error of the command.
    match run(arguments, &mut out).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Flush the output so far. An error here is ignored, because the command already failed.
            let _ = out.flush();
            report(error.code().name, &chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Writes the line of an error. If standard error is closed, nobody reads it.
fn report(code: &str, message: &str) {
    let _ = writeln!(io::stderr(), "error: {code}: {}", visible(message));
}

/// Installs handlers for signals that would end a command without a message. Without them, it works.
fn handle_signals(command: &Command) {
    let _ = fail_large_writes();
    // A server writes a log line.
    if !matches!(command, Command::Serve(_)) {
        let message = "a mapped file was truncated, or its device failed";
        let _ = report_changed_files(move || report(FILE_CHANGED.name, message));
    }
}
