//! The real function under the real Lambda emulator, `cargo lambda watch`: every kind of bad event
//! has its code, and a good one is answered after each.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{self, repository};

/// How long the emulator and the first invocation, which may compile, have.
const START: Duration = Duration::from_secs(300);

/// A running emulator; stopped with the function when dropped.
struct Emulator {
    process: Child,
    port: u16,
    agent: ureq::Agent,
}

impl Emulator {
    fn start() -> Self {
        let tools = repository(".venv/bin");
        assert!(tools.join("cargo-lambda").exists(), "cargo-lambda is missing: run `make setup`");
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("cargo")
            .args(["lambda", "watch", "--quiet", "--ignore-changes", "--invoke-address"])
            .args(["127.0.0.1", "--invoke-port", &port.to_string()])
            .current_dir(repository(""))
            .env("PATH", path)
            .env("SEMBLANCE_BUNDLE", support::bundle())
            .env("SEMBLANCE_ORT_LIBRARY", support::library())
            .env("SEMBLANCE_MAX_TEXTS", "1000")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(START))
            .build();
        let mut emulator = Self { process, port, agent: config.into() };
        emulator.wait();
        emulator
    }

    fn wait(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < START, "the emulator listens");
            assert!(self.process.try_wait().unwrap().is_none(), "the emulator runs");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Invokes the function; returns the status and the answer.
    fn invoke(&self, event: &[u8]) -> (u16, Value) {
        let path = "2015-03-31/functions/similarity/invocations";
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        let mut response = self.agent.post(url).send(event).unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {body}"));
        (response.status().as_u16(), json)
    }

    /// Stops the emulator and the function; returns what they logged.
    fn stop(mut self) -> String {
        self.kill();
        let mut log = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    fn kill(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.process.wait();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Name, event and code of every bad event tried.
fn bad_events() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let list =
        |query: Value, texts: Value| json!({"query_from_app": query, "actual_queries": texts});
    let with = |field: &str, value: Value| {
        let mut event = list(json!("a"), json!(["b"]));
        event[field] = value;
        event
    };
    let too_long = "x".repeat(65_537);
    let cut = "cat ".repeat(300);
    let mut deep = "[".repeat(200);
    deep.push_str(&"]".repeat(200));
    let json_events = [
        ("event is null", json!(null), "request.not_an_object"),
        ("event is a number", json!(7), "request.not_an_object"),
        ("event is a boolean", json!(true), "request.not_an_object"),
        ("event is a string", json!("hello"), "request.not_an_object"),
        ("event is an array", json!([list(json!("a"), json!(["b"]))]), "request.not_an_object"),
        ("no field", json!({}), "request.unknown_event"),
        ("no query", json!({"actual_queries": ["b"]}), "request.missing_field"),
        ("no candidates", json!({"query_from_app": "a"}), "request.missing_field"),
        ("fields in other case", json!({"Query_From_App": "a"}), "request.unknown_event"),
        ("query is null", list(json!(null), json!([])), "request.wrong_type"),
        ("query is a number", list(json!(1), json!([])), "request.wrong_type"),
        ("query is a boolean", list(json!(false), json!([])), "request.wrong_type"),
        ("query is an array", list(json!(["a"]), json!([])), "request.wrong_type"),
        ("query is an object", list(json!({"a": 1}), json!([])), "request.wrong_type"),
        ("candidates are null", list(json!("a"), json!(null)), "request.wrong_type"),
        ("candidates are a string", list(json!("a"), json!("b")), "request.wrong_type"),
        ("candidates are a number", list(json!("a"), json!(2)), "request.wrong_type"),
        ("candidates are an object", list(json!("a"), json!({"0": "b"})), "request.wrong_type"),
        ("a candidate is null", list(json!("a"), json!(["b", null])), "request.wrong_type"),
        ("a candidate is a number", list(json!("a"), json!([1])), "request.wrong_type"),
        ("a candidate is an array", list(json!("a"), json!([["b"]])), "request.wrong_type"),
        ("a candidate is an object", list(json!("a"), json!([{"t": "b"}])), "request.wrong_type"),
        ("query is empty", list(json!(""), json!([])), "request.empty_text"),
        ("query is spaces", list(json!("   "), json!([])), "request.empty_text"),
        ("query is tabs and lines", list(json!("\t\r\n"), json!([])), "request.empty_text"),
        ("query is no-break space", list(json!("\u{a0}"), json!([])), "request.empty_text"),
        ("a candidate is empty", list(json!("a"), json!(["b", ""])), "request.empty_text"),
        ("a candidate is em spaces", list(json!("a"), json!(["\u{2003}"])), "request.empty_text"),
        ("query has a NUL", list(json!("a\u{0}b"), json!([])), "request.nul_character"),
        ("a candidate is a NUL", list(json!("a"), json!(["\u{0}"])), "request.nul_character"),
        ("query is too long", list(json!(too_long), json!([])), "request.text_too_long"),
        ("a candidate is too long", list(json!("a"), json!([too_long])), "request.text_too_long"),
        ("long in bytes only", list(json!("ä".repeat(33_000)), json!([])), "request.text_too_long"),
        ("1,001 candidates", list(json!("a"), json!(vec!["b"; 1_001])), "request.too_many_texts"),
        (
            "100,000 candidates",
            list(json!("a"), json!(vec!["b"; 100_000])),
            "request.too_many_texts",
        ),
        ("top_k is 0", with("top_k", json!(0)), "request.out_of_range"),
        ("top_k is negative", with("top_k", json!(-1)), "request.out_of_range"),
        ("top_k is a fraction", with("top_k", json!(1.5)), "request.out_of_range"),
        ("top_k is a string", with("top_k", json!("3")), "request.wrong_type"),
        ("top_k is an array", with("top_k", json!([3])), "request.wrong_type"),
        ("truncate is a number", with("truncate", json!(0)), "request.wrong_type"),
        ("truncate is a string", with("truncate", json!("false")), "request.wrong_type"),
        (
            "query may not be cut",
            json!({"query_from_app": cut, "actual_queries": ["b"], "truncate": false}),
            "request.too_many_tokens",
        ),
        (
            "a candidate may not be cut",
            json!({"query_from_app": "a", "actual_queries": ["b", cut], "truncate": false}),
            "request.too_many_tokens",
        ),
    ];
    let bytes_events: [(&str, Vec<u8>, &str); 11] = [
        ("empty body", b"".to_vec(), "request.invalid_json"),
        ("white space body", b" \n".to_vec(), "request.invalid_json"),
        ("plain text", b"hello".to_vec(), "request.invalid_json"),
        ("cut off", b"{\"query_from_app\": \"a".to_vec(), "request.invalid_json"),
        ("trailing comma", b"{\"query_from_app\": \"a\",}".to_vec(), "request.invalid_json"),
        ("single quotes", b"{'query_from_app': 'a'}".to_vec(), "request.invalid_json"),
        ("two documents", b"{} {}".to_vec(), "request.invalid_json"),
        ("not UTF-8", b"{\"query_from_app\": \"\xff\"}".to_vec(), "request.invalid_json"),
        (
            "raw control character",
            b"{\"query_from_app\": \"a\x01\"}".to_vec(),
            "request.invalid_json",
        ),
        (
            "lone surrogate",
            br#"{"query_from_app": "\ud800", "actual_queries": []}"#.to_vec(),
            "request.invalid_json",
        ),
        ("nested 200 deep", deep.into_bytes(), "request.invalid_json"),
    ];
    json_events
        .into_iter()
        .map(|(name, event, code)| (name, event.to_string().into_bytes(), code))
        .chain(bytes_events)
        .collect()
}

#[test]
fn every_bad_event_has_its_code_and_the_next_good_one_is_answered() {
    let emulator = Emulator::start();
    let good = std::fs::read(repository("tests/events/london.json")).unwrap();
    let (status, expected) = emulator.invoke(&good);
    assert_eq!(status, 200, "{expected}");
    assert_eq!(expected["Scores"][0][0], "Around 9 Million people live in London");
    let score = expected["Scores"][0][1].as_f64().unwrap();
    assert!((score - 0.882_352).abs() <= 1e-5, "{score}");

    let bad_events = bad_events();
    assert!(bad_events.len() >= 40);
    for (name, event, code) in bad_events {
        let (status, answer) = emulator.invoke(&event);
        println!("{name:28} {} {}", answer["errorType"], answer["errorMessage"]);
        assert_eq!((status, &answer["errorType"]), (500, &json!(code)), "{name}: {answer}");
        assert_eq!(emulator.invoke(&good), (200, expected.clone()), "after: {name}");
    }
    println!("a good event after each: {expected}");

    let log = emulator.stop();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!(of("started"), 1, "the function started once and survived every event");
    assert_eq!(of("event refused"), bad_events_len());
    assert_eq!(of("event answered"), bad_events_len() + 1);
    let first = lines.iter().find(|line| line["message"] == "event answered").unwrap();
    assert_eq!(first["cold_start"], true);
    for field in ["request_id", "texts", "unique_texts", "tokens", "padded_tokens", "truncated"] {
        assert!(first.get(field).is_some(), "{field}: {first}");
    }
    for field in ["tokenise_ms", "infer_ms", "total_ms"] {
        assert!(first[field].as_f64().unwrap() >= 0.0, "{field}: {first}");
    }
    assert!(!log.contains("London"), "no text of a user at this level");
}

fn bad_events_len() -> usize {
    bad_events().len()
}
