//! The launchers for programs in other languages: the emulator, the server, and a function under a
//! Runtime API.
//!
//! Standard output begins with one JSON line, when the process is ready. Standard error has the log
//! of the process. The process is stopped when standard input ends, so it never outlives the
//! program that asked for it.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use semblance_test_support::{Answer, Emulator, Kind, Pending, RuntimeApi, Server};
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
    /// A function under a Runtime API; prints {"pid"}, then for each event, one a line, its answer
    /// as {"kind", "body", "elapsed_ms", "since_start_ms"}
    Runtime {
        /// The function and its arguments; it gets the environment of this program
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let launched = match Arguments::parse().launch {
        Launch::Emulator => emulator(),
        Launch::Server { program, arguments } => server(program, &arguments),
        Launch::Runtime { command } => runtime(&command),
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

fn runtime(command: &[String]) -> Result<(), String> {
    let api = RuntimeApi::start().map_err(|error| error.to_string())?;
    let (program, arguments) = command.split_first().ok_or("no function")?;
    let spawned = Instant::now();
    let mut process = Command::new(program)
        .args(arguments)
        .env("AWS_LAMBDA_RUNTIME_API", api.url())
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let answered = print(&json!({"pid": process.id()})).and_then(|()| {
        for event in io::stdin().lock().split(b'\n').map_while(Result::ok) {
            let pending = api.queue(&event);
            let answer = wait(&pending, || process.try_wait())?;
            print(&line(&answer, spawned))?;
        }
        Ok(())
    });
    let _ = process.kill();
    let _ = process.wait();
    answered
}

/// Waits for the answer to an event for as long as the function runs.
fn wait(
    pending: &Pending,
    mut ended: impl FnMut() -> io::Result<Option<ExitStatus>>,
) -> Result<Answer, String> {
    loop {
        if let Some(answer) = pending.wait(Duration::from_millis(200)) {
            return Ok(answer);
        }
        if let Ok(Some(status)) = ended() {
            return Err(format!("the function ended without an answer: {status}"));
        }
    }
}

fn line(answer: &Answer, spawned: Instant) -> Value {
    let kind = match answer.kind {
        Kind::Response => "response",
        Kind::Error => "error",
        Kind::InitError => "init_error",
    };
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    json!({
        "kind": kind,
        "body": String::from_utf8_lossy(&answer.body),
        "elapsed_ms": ms(answer.elapsed()),
        "since_start_ms": ms(answer.arrived - spawned),
    })
}

fn print(line: &Value) -> Result<(), String> {
    let mut out = io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn wait_for_end_of_input() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}
