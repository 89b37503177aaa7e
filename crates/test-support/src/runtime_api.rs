//! The Lambda Runtime API in this process: hands a function events and takes its answers.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes",
//! version 2018-06-01. One function polls one `RuntimeApi`, with as many polls at a time as it likes;
//! the port is the system's choice.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tiny_http::{Method, Request, Server};

const PREFIX: &str = "/2018-06-01/runtime/";
/// The function's ARN, as every event names it.
pub const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:similarity";
/// How long an event may take: the function's timeout.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// A running Runtime API; stops when dropped.
pub struct RuntimeApi {
    server: Arc<Server>,
    shared: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

/// What a function made of an event.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The route that it came through.
    pub kind: Kind,
    /// Its body, byte for byte.
    pub body: Vec<u8>,
    /// When the function was given the event; for an init error, when the event was queued.
    pub handed_over: Instant,
    /// When the answer was here.
    pub arrived: Instant,
}

/// The routes of the Runtime API that end an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `invocation/{id}/response`.
    Response,
    /// `invocation/{id}/error`.
    Error,
    /// `init/error`: the function never polled.
    InitError,
}

/// How far the start of a function came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It did not poll yet.
    #[default]
    Starting,
    /// It polled.
    Ready,
    /// It posted this body to `init/error`.
    Failed(Vec<u8>),
}

/// An event that is not answered yet.
pub struct Pending {
    answers: Receiver<Answer>,
}

#[derive(Default)]
struct State {
    arn: String,
    timeout: Duration,
    phase: Phase,
    events: u64,
    queued: VecDeque<Event>,
    /// The polls of an idle function.
    polls: VecDeque<Request>,
    running: HashMap<String, Running>,
    /// The most events that ran at a time.
    most_running: usize,
}

struct Event {
    id: String,
    payload: Vec<u8>,
    queued: Instant,
    answer: Sender<Answer>,
}

struct Running {
    handed_over: Instant,
    answer: Sender<Answer>,
}

impl Answer {
    /// Time from the function's poll returning to its answer.
    pub fn elapsed(&self) -> Duration {
        self.arrived - self.handed_over
    }
}

impl Pending {
    /// Waits for the answer; none if it is not here in time, so that the caller can look whether
    /// the function still lives.
    pub fn wait(&self, limit: Duration) -> Option<Answer> {
        self.answers.recv_timeout(limit).ok()
    }
}

impl RuntimeApi {
    /// Starts listening on a free port of the loopback interface.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start() -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::start_with(TIMEOUT)
    }

    /// As [`RuntimeApi::start`], for a function with another timeout.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start_with(timeout: Duration) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::start_for(FUNCTION_ARN, timeout)
    }

    /// As [`RuntimeApi::start`], for another function.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start_for(arn: &str, timeout: Duration) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let server = Arc::new(Server::http("127.0.0.1:0")?);
        let arn = arn.to_owned();
        let shared = Arc::new(Mutex::new(State { arn, timeout, ..State::default() }));
        let thread = thread::spawn({
            let (server, shared) = (Arc::clone(&server), Arc::clone(&shared));
            move || {
                // Ends with the error that `unblock` raises.
                while let Ok(request) = server.recv() {
                    // A function that hung up has no use for the answer.
                    let _ = serve(&shared, request);
                }
            }
        });
        Ok(Self { server, shared, thread: Some(thread) })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` must be: host and port.
    pub fn url(&self) -> String {
        self.server.server_addr().to_string()
    }

    /// How far the start of the function came.
    pub fn phase(&self) -> Phase {
        lock(&self.shared).phase.clone()
    }

    /// Gives the function an event as soon as it polls.
    pub fn queue(&self, payload: &[u8]) -> Pending {
        let mut state = lock(&self.shared);
        state.events += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", state.events);
        Self::queue_locked(&mut state, id, payload.to_vec())
    }

    /// As [`RuntimeApi::queue`], with the event's request id.
    pub fn queue_as(&self, id: &str, payload: &[u8]) -> Pending {
        Self::queue_locked(&mut lock(&self.shared), id.to_owned(), payload.to_vec())
    }

    fn queue_locked(state: &mut State, id: String, payload: Vec<u8>) -> Pending {
        let (answer, answers) = mpsc::channel();
        let event = Event { id, payload, queued: Instant::now(), answer };
        match state.polls.pop_front() {
            // A failure shows as an answer that never comes.
            Some(poll) => drop(hand_over(state, poll, event)),
            None => state.queued.push_back(event),
        }
        Pending { answers }
    }

    /// The most events that the function worked on at a time.
    pub fn most_running(&self) -> usize {
        lock(&self.shared).most_running
    }

    /// Gives the function an event and waits for the answer, at most the function's timeout.
    pub fn invoke(&self, payload: &[u8]) -> Option<Answer> {
        self.queue(payload).wait(TIMEOUT)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(shared: &Mutex<State>, mut request: Request) -> io::Result<()> {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body)?;
    let arrived = Instant::now();
    let url = request.url().to_owned();
    let path: Vec<&str> = url.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
    let mut state = lock(shared);
    match (request.method(), path.as_slice()) {
        (Method::Get, ["invocation", "next"]) => {
            state.phase = Phase::Ready;
            match state.queued.pop_front() {
                Some(event) => hand_over(&mut state, request, event),
                None => {
                    state.polls.push_back(request);
                    Ok(())
                }
            }
        }
        (Method::Post, ["invocation", id, door @ ("response" | "error")]) => {
            let Some(Running { handed_over, answer }) = state.running.remove(*id) else {
                return respond(
                    request,
                    "400 Bad Request",
                    "",
                    br#"{"errorType":"InvalidRequestID"}"#,
                );
            };
            let kind = if *door == "response" { Kind::Response } else { Kind::Error };
            // The caller may have stopped waiting.
            let _ = answer.send(Answer { kind, body, handed_over, arrived });
            accepted(request)
        }
        (Method::Post, ["init", "error"]) => {
            state.phase = Phase::Failed(body.clone());
            for Event { queued, answer, .. } in state.queued.drain(..) {
                let (kind, body, handed_over) = (Kind::InitError, body.clone(), queued);
                let _ = answer.send(Answer { kind, body, handed_over, arrived });
            }
            accepted(request)
        }
        _ => respond(request, "404 Not Found", "", b"{}"),
    }
}

fn hand_over(state: &mut State, poll: Request, event: Event) -> io::Result<()> {
    let Event { id, payload, answer, .. } = event;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut headers = String::new();
    for (name, value) in [
        ("Aws-Request-Id", id.as_str()),
        ("Deadline-Ms", &(now + state.timeout).as_millis().to_string()),
        ("Invoked-Function-Arn", &state.arn),
        ("Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0"),
    ] {
        let _ = write!(headers, "Lambda-Runtime-{name}: {value}\r\n");
    }
    state.running.insert(id, Running { handed_over: Instant::now(), answer });
    state.most_running = state.most_running.max(state.running.len());
    respond(poll, "200 OK", &headers, &payload)
}

fn accepted(request: Request) -> io::Result<()> {
    respond(request, "202 Accepted", "", br#"{"status":"OK"}"#)
}

/// Answers in one write: two would let Nagle's algorithm hold the second back for the first's
/// delayed acknowledgement, 40 ms that no real Runtime API costs.
fn respond(request: Request, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         {headers}\r\n"
    )
    .into_bytes();
    response.extend_from_slice(body);
    let mut connection = request.into_writer();
    connection.write_all(&response)?;
    connection.flush()
}
