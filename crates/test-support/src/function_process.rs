//! A function under a Runtime API, for a program that writes events and reads answers as lines.

use std::io::{self, BufRead as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use semblance_test_support::{Answer, Kind, Pending, Phase, RuntimeApi};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::print;

/// In an argument of the command: the address of the Runtime API.
const ADDRESS: &str = "{runtime_api}";
/// How often the end of the function and of standard input is looked for.
const TICK: Duration = Duration::from_millis(5);

/// A line of standard input.
#[derive(Deserialize)]
struct Event {
    /// The payload.
    event: String,
    /// The request id.
    id: Option<String>,
}

/// Runs a function until it ends or standard input ends, and prints a line for the start, for the
/// first poll, for each answer and for the end.
///
/// # Errors
/// If the function cannot be started, a line is not an event, or standard output is closed.
pub(crate) fn run(command: &[String], arn: &str, timeout: Duration) -> Result<(), String> {
    let api = RuntimeApi::start_for(arn, timeout).map_err(|error| error.to_string())?;
    let spawned = Instant::now();
    let mut process = spawn(command, &api.url())?;
    let ran = print(&json!({"kind": "start", "pid": process.id()}))
        .and_then(|()| serve(&api, &mut process, spawned, timeout));
    let _ = process.kill();
    let _ = process.wait();
    ran
}

fn spawn(command: &[String], address: &str) -> Result<Child, String> {
    let (program, arguments) = command.split_first().ok_or("no function")?;
    Command::new(program)
        .args(arguments.iter().map(|argument| argument.replace(ADDRESS, address)))
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))
}

fn serve(
    api: &RuntimeApi,
    process: &mut Child,
    spawned: Instant,
    timeout: Duration,
) -> Result<(), String> {
    let lines = read_lines();
    let mut is_phase_told = false;
    let mut waiting: Option<(Pending, Instant)> = None;
    let mut is_input_open = true;
    loop {
        let ended = process.try_wait().map_err(|error| error.to_string())?;
        if let Some((pending, since)) = &waiting {
            if let Some(answer) = pending.wait(TICK) {
                is_phase_told |= answer.kind == Kind::InitError;
                print(&line(&answer, spawned))?;
                waiting = None;
            } else if !is_input_open && since.elapsed() > timeout {
                return Ok(());
            }
        } else if is_input_open {
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    let event: Event = serde_json::from_str(&line)
                        .map_err(|error| format!("not an event: {error}"))?;
                    waiting = Some((queue(api, &event), Instant::now()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_input_open = false,
            }
        } else {
            return Ok(());
        }
        if !is_phase_told && waiting.is_none() {
            is_phase_told = tell_phase(&api.phase())?;
        }
        // Looked for before the answers, so that an answer that came before the end is not lost.
        if let Some(status) = ended {
            return print(&exit_line(status));
        }
    }
}

/// Reads standard input in a separate thread; the channel ends with it.
fn read_lines() -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn queue(api: &RuntimeApi, event: &Event) -> Pending {
    match &event.id {
        Some(id) => api.queue_as(id, event.event.as_bytes()),
        None => api.queue(event.event.as_bytes()),
    }
}

/// Prints that the function is ready, or that its start failed; returns whether it is either.
fn tell_phase(phase: &Phase) -> Result<bool, String> {
    match phase {
        Phase::Starting => return Ok(false),
        Phase::Ready => print(&json!({"kind": "ready"}))?,
        Phase::Failed(body) => {
            print(&json!({"kind": "init_error", "body": String::from_utf8_lossy(body)}))?;
        }
    }
    Ok(true)
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

fn exit_line(status: ExitStatus) -> Value {
    json!({"kind": "exit", "status": status.code(), "signal": status.signal()})
}
