//! The launchers for programs in other languages: the emulator, the server, and a function under a
//! Runtime API.
//!
//! Standard output begins with one JSON line, when the process is ready. Standard error has the log
//! of the process. The process is stopped when standard input ends, so it never outlives the
//! program that asked for it.

mod floor;
mod function_process;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use semblance::options::InstructionSet;
use semblance_test_support::{Emulator, FUNCTION_ARN, Server, TIMEOUT};
use serde_json::{Value, json};

/// Starts a process of semblance for as long as standard input is open.
#[derive(Parser)]
#[command(about, max_term_width = 100)]
struct Arguments {
    /// What to start.
    #[command(subcommand)]
    launch: Launch,
}

#[derive(Subcommand)]
enum Launch {
    /// The Lambda emulator; prints {"url", "invoke_url", "pid"}
    Emulator,
    /// `semblance serve` on a free port; prints {"url", "pid"}
    Server {
        /// The command line `semblance` [default: in the folder of this program]
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
        /// Arguments of `semblance serve`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// The product kernel, as a floor of the benches
    ///
    /// Prints, for each line of standard input, {"gflops", "products_ms": {rows: ms}}.
    #[command(verbatim_doc_comment)]
    Floor {
        /// Threads that share a product
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Rows at which all products of all-MiniLM-L6-v2 are timed
        #[arg(long, value_delimiter = ',')]
        rows: Vec<usize>,
        /// Instruction set of the kernel [default: the fastest of this processor]
        #[arg(long)]
        instruction_set: Option<InstructionSet>,
    },
    /// A function under a Runtime API
    ///
    /// Reads events, one a line, as {"event", "id"}. Prints {"kind": "start", "pid"}, then
    /// {"kind": "ready"} or {"kind": "init_error", "body"}, then the answer to each event as
    /// {"kind": "response" or "error", "body", "elapsed_ms", "since_start_ms"}, and
    /// {"kind": "exit", "status", "signal"} if the function ends.
    #[command(verbatim_doc_comment)]
    Runtime {
        /// The ARN that the function is invoked with
        #[arg(long, default_value = FUNCTION_ARN)]
        arn: String,
        /// The timeout of the function, which its deadlines follow
        #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT.as_secs())]
        timeout_seconds: u64,
        /// The function and its arguments; it gets the environment of this program, and
        /// `{runtime_api}` in an argument is replaced by the address of the Runtime API
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let launched = match Arguments::parse().launch {
        Launch::Emulator => emulator(),
        Launch::Server { program, arguments } => server(program, &arguments),
        Launch::Floor { threads, rows, instruction_set } => {
            floor::run(threads, &rows, instruction_set)
        }
        Launch::Runtime { arn, timeout_seconds, command } => {
            function_process::run(&command, &arn, Duration::from_secs(timeout_seconds))
        }
    };
    match launched {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn emulator() -> Result<(), String> {
    let emulator = Emulator::start_with_echo()?;
    let (url, invoke_url) = (emulator.url(), emulator.invoke_url());
    print(&json!({"url": url, "invoke_url": invoke_url, "pid": emulator.id()}))?;
    wait_for_end_of_input();
    drop(emulator.stop());
    Ok(())
}

fn server(program: Option<PathBuf>, arguments: &[String]) -> Result<(), String> {
    let beside = || std::env::current_exe().map(|this| this.with_file_name("semblance"));
    let program = program.map_or_else(beside, Ok).map_err(|error| error.to_string())?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut server = Server::start_with_echo(Server::command(&program, &arguments))?;
    print(&json!({"url": server.url(), "pid": server.id()}))?;
    wait_for_end_of_input();
    match server.stop() {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("the server ended: {status}")),
        None => Err("the server did not end, and was killed".to_owned()),
    }
}

fn print(line: &Value) -> Result<(), String> {
    let mut out = io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn wait_for_end_of_input() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}
