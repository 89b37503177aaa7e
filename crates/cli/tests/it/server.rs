//! `semblance serve` as a process: it listens, answers many at a time, sheds, and ends well.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{self, assert_close};

/// How long a process may take to do what it is told.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of the real model; stopped when dropped.
struct Server {
    process: Child,
    output: Option<BufReader<ChildStdout>>,
    url: String,
    agent: ureq::Agent,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semblance"));
    command
        .arg("serve")
        .args(arguments)
        .env("SEMBLANCE_BUNDLE", support::bundle())
        .env("SEMBLANCE_ORT_LIBRARY", support::library())
        .env("SEMBLANCE_CACHE_BYTES", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = ["--port", "0"].iter().chain(arguments).copied().collect();
        let mut process = command(&arguments).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "the server said where it listens");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "listening" {
                break line["url"].as_str().unwrap().to_owned();
            }
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self { process, output: Some(output), url, agent: config.into() }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let request = self.agent.post(url).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).unwrap();
        let text = response.body_mut().with_config().limit(100 << 20).read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    fn get(&self, path: &str) -> String {
        let mut response = self.agent.get(format!("{}{path}", self.url)).call().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.body_mut().read_to_string().unwrap()
    }

    /// The value of a metric, with its labels.
    fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {metrics}")).parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end; returns the status and what was logged.
    fn wait(&mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "the server ends");
            thread::sleep(Duration::from_millis(5));
        };
        let mut log = String::new();
        self.output.take().unwrap().read_to_string(&mut log).unwrap();
        (status, log)
    }

    /// Waits until so many operations run or wait.
    fn wait_for_in_flight(&self, count: f64) {
        let started = Instant::now();
        while self.metric("semblance_in_flight") < count {
            assert!(started.elapsed() < PATIENCE, "{count} in flight");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request that keeps the model busy for a second or more.
fn long_request() -> Value {
    let texts: Vec<String> =
        (0..400).map(|i| format!("{i} {}", "some more words ".repeat(6))).collect();
    json!({"inputs": texts})
}

#[test]
fn it_answers_what_the_library_does_and_counts_it() {
    let server = Server::start(&[]);
    let event = json!({"query_from_app": "How many people live in London?",
                       "actual_queries": ["Around 9 Million people live in London"]});
    let (status, answer) = server.post("/", &event);
    assert_eq!(status, 200);
    assert_close(&answer["Scores"][0][1], &json!(0.882_351_8));
    assert_eq!(server.post("/embed", &json!({})).0, 422);
    assert_eq!(server.metric("semblance_requests_total{route=\"/\",status=\"200\"}"), 1.0);
    assert_eq!(server.metric("semblance_requests_total{route=\"/embed\",status=\"422\"}"), 1.0);
    assert_eq!(server.metric("semblance_texts_total"), 2.0);
    assert!(server.get("/metrics").ends_with("# EOF\n"));
    assert!(server.metric("semblance_request_seconds_count{route=\"/\"}") >= 1.0);
}

#[test]
fn many_at_a_time_have_each_their_own_answer() {
    let server = Server::start(&["--threads", "2"]);
    let texts: Vec<String> =
        (0..48).map(|i| format!("text number {i} {}", "word ".repeat(i % 9))).collect();
    let (_, alone) = server.post("/embed", &json!({"inputs": texts}));
    thread::scope(|scope| {
        let ask = |text: &String| {
            let body = json!({"inputs": text});
            let server = &server;
            scope.spawn(move || server.post("/embed", &body))
        };
        let answers: Vec<_> = texts.iter().map(ask).collect();
        for (index, answer) in answers.into_iter().enumerate() {
            let (status, rows) = answer.join().unwrap();
            assert_eq!(status, 200);
            assert_close(&rows[0], &alone[index]);
        }
    });
}

#[test]
fn more_than_it_may_hold_are_refused_and_health_still_answers() {
    let server = Server::start(&["--max-concurrent-requests", "1", "--threads", "1"]);
    thread::scope(|scope| {
        let long = scope.spawn(|| server.post("/embed", &long_request()));
        server.wait_for_in_flight(1.0);
        let refused = server.agent.post(format!("{}/embed", server.url));
        let refused = refused.header("content-type", "application/json");
        let mut refused = refused.send(json!({"inputs": "a"}).to_string()).unwrap();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "1");
        let body: Value =
            serde_json::from_str(&refused.body_mut().read_to_string().unwrap()).unwrap();
        assert_eq!(body["error_type"], "http.overloaded");
        server.get("/health");
        assert_eq!(long.join().unwrap().0, 200);
    });
    assert_eq!(server.post("/embed", &json!({"inputs": "a"})).0, 200, "and then there is room");
}

#[test]
fn what_takes_too_long_is_told_so() {
    let server = Server::start(&["--timeout-seconds", "1", "--threads", "1"]);
    let mut request = long_request();
    let texts = request["inputs"].as_array_mut().unwrap();
    let more: Vec<Value> =
        texts.iter().map(|text| json!(format!("{} again", text.as_str().unwrap()))).collect();
    texts.extend(more);
    let (status, answer) = server.post("/embed", &request);
    assert_eq!((status, &answer["error_type"]), (503, &json!("http.timed_out")), "{answer}");
}

#[test]
fn told_to_stop_it_ends_what_is_under_way_and_takes_no_more() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--threads", "1"]);
        let (status, rows) = thread::scope(|scope| {
            let long = scope.spawn(|| server.post("/embed", &long_request()));
            server.wait_for_in_flight(1.0);
            server.signal(signal);
            long.join().unwrap()
        });
        assert_eq!((status, rows.as_array().unwrap().len()), (200, 400), "{signal}");
        let (status, log) = server.wait();
        assert!(status.success(), "{signal}: {status}");
        assert!(log.contains("\"message\":\"stopping\""), "{log}");
        let address = server.url.strip_prefix("http://").unwrap();
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
    }
}

#[test]
fn an_idle_connection_does_not_keep_it() {
    let mut server = Server::start(&[]);
    let address = server.url.strip_prefix("http://").unwrap();
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.signal("TERM");
    assert!(server.wait().0.success());
}

#[test]
fn what_it_cannot_do_is_an_error_with_a_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let bundle = support::bundle().display().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&["--port", &port], "server.address_unavailable"),
        (&["--port", "0", "--cors-origin", "example.com"], "config.invalid"),
        (&["--port", "0", "--cross-encoder", &bundle], "bundle.wrong_task"),
        (&["--port", "0", "--cross-encoder", "/nowhere"], "bundle.folder_missing"),
    ];
    for (arguments, code) in cases {
        let output = command(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.starts_with(&format!("error: {code}: ")), "{error}");
    }
}
