//! A soak: many mixed requests at once, some of clients that leave. Every response is right, and memory
//! stays flat.
//!
//! `SEMBLANCE_SOAK_EVENTS` is the number of requests; `make soak` sends 100,000.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use semblance_test_support::Server;
use serde_json::json;

use crate::raw::{command, connect, metric, texts, wait_until};

/// Number of requests in an ordinary test run.
const REQUESTS: usize = 5_000;

/// Number of clients at a time.
const CLIENTS: usize = 4;

/// Memory that the second half of the requests may add, in kB.
const GROWTH_KB: u64 = 4_096;

/// A client whose connection stays open as long as the server keeps it.
struct Client<'a> {
    server: &'a Server,
    connection: Option<BufReader<TcpStream>>,
}

impl Client<'_> {
    /// Sends a request and returns the status and the body of its response.
    fn ask(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        let server = self.server;
        let mut connection =
            self.connection.take().unwrap_or_else(|| BufReader::new(connect(server)));
        connection.get_mut().write_all(request).unwrap();
        let (mut head, mut body) = (String::new(), Vec::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(connection.read_line(&mut head).unwrap() > 0, "no response: {head}");
        }
        let head = head.to_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned)
        };
        if header("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                connection.read_line(&mut line).unwrap();
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                let start = body.len();
                body.resize(start + length + 2, 0);
                connection.read_exact(&mut body[start..]).unwrap();
                body.truncate(start + length);
                if length == 0 {
                    break;
                }
            }
        } else {
            body.resize(header("content-length").unwrap().parse().unwrap(), 0);
            connection.read_exact(&mut body).unwrap();
        }
        if header("connection").is_none_or(|value| value != "close") {
            self.connection = Some(connection);
        }
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Returns a response without its `id`, which differs between equal requests.
fn without_id((status, body): (u16, Vec<u8>)) -> (u16, Vec<u8>) {
    let parsed = serde_json::from_slice::<serde_json::Value>(&body);
    let Ok(serde_json::Value::Object(mut object)) = parsed else { return (status, body) };
    match object.remove("id") {
        Some(_) => (status, serde_json::Value::Object(object).to_string().into_bytes()),
        None => (status, body),
    }
}

/// Requests and what they are answered with.
fn requests() -> Vec<Vec<u8>> {
    let post = |path: &str, body: &serde_json::Value| {
        request("POST", path, "", body.to_string().as_bytes())
    };
    vec![
        post("/", &json!({"query_from_app": "London", "actual_queries": ["Paris", "London"]})),
        post("/embed", &json!({"inputs": ["one", "two"]})),
        post("/similarity", &json!({"inputs": {"source_sentence": "a", "sentences": ["b", "c"]}})),
        post("/rerank", &json!({"query": "London", "texts": ["Paris", "London"]})),
        post("/tokenize", &json!({"inputs": "How many people live in London?"})),
        post("/v1/embeddings", &json!({"input": ["one", "two"], "encoding_format": "base64"})),
        post("/v1/rerank", &json!({"query": "London", "documents": ["Paris", "London"]})),
        post("/api/embeddings", &json!({"model": "m", "prompt": "one"})),
        post("/embed", &json!({"inputs": "x ".repeat(20_000), "truncate": true})),
        post("/embed", &json!({"inputs": "x ".repeat(300), "truncate": false})),
        post("/embed", &json!({"inputs": [""]})),
        post("/nothing", &json!({})),
        request("POST", "/embed", "", b"{"),
        request("POST", "/embed", "content-encoding: gzip\r\n", b"not gzip"),
        request("GET", "/health", "", b""),
        request("GET", "/info", "", b""),
        request("GET", "/openapi.json", "accept-encoding: gzip\r\n", b""),
        request("DELETE", "/embed", "", b""),
        b"POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
          transfer-encoding: chunked\r\n\r\nf\r\n{\"inputs\": \"a\"}\r\n0\r\n\r\n"
            .to_vec(),
    ]
}

/// Anonymous resident memory of the server, in kB.
fn anonymous_kb(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client that leaves: in the middle of the head or of the body, or before the response.
fn leave(server: &Server, number: usize) {
    let whole = request("POST", "/embed", "", &texts(20, 30));
    let sent = [10, 80, whole.len() - 5, whole.len()][number % 4];
    let _ = connect(server).write_all(&whole[..sent]);
}

#[test]
fn memory_stays_flat_and_every_response_is_right() {
    let count = std::env::var("SEMBLANCE_SOAK_EVENTS").ok();
    let count = count.map_or(REQUESTS, |count| count.parse().unwrap());
    // Small, so that it is full before the memory is compared.
    let mut command = command("", &[]);
    command.env("SEMBLANCE_CACHE_BYTES", "1000000");
    let mut server = Server::start(command).unwrap();
    let requests = requests();
    let expected: Vec<(u16, Vec<u8>)> = {
        let mut client = Client { server: &server, connection: None };
        requests.iter().map(|request| without_id(client.ask(request))).collect()
    };
    let statuses: Vec<u16> = expected.iter().map(|(status, _)| *status).collect();
    println!("statuses: {statuses:?}");
    let (next, wrong, samples) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let run = || {
        let mut client = Client { server: &server, connection: None };
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            if number.is_multiple_of((count / 20).max(1)) {
                samples.lock().unwrap().push((number, anonymous_kb(&server)));
            }
            let index = number % requests.len();
            let is_right = match number % 50 {
                7 => {
                    leave(&server, number / 50);
                    true
                }
                31 => {
                    // A text that is not in the cache.
                    let body = json!({"inputs": format!("text {number}")}).to_string();
                    let answer = client.ask(&request("POST", "/embed", "", body.as_bytes()));
                    answer.0 == 200 && answer.1.len() > 384 * 4
                }
                _ => without_id(client.ask(&requests[index])) == expected[index],
            };
            wrong.fetch_add(usize::from(!is_right), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(run))));
    wait_until("requests end", || metric(&server, "semblance_in_flight") == 0.0);
    let mut samples = samples.into_inner().unwrap();
    samples.push((count, anonymous_kb(&server)));
    let wrong = wrong.into_inner();
    let middle = samples[samples.len() / 2];
    let (end, last) = *samples.last().unwrap();
    let slope = (last as f64 - middle.1 as f64) * 1024.0 / (end - middle.0).max(1) as f64;
    println!("{count} requests, {wrong} wrong; RssAnon in kB after requests: {samples:?}");
    println!("slope of the second half: {slope:.1} bytes a request");
    assert_eq!(wrong, 0);
    assert!(last <= middle.1 + GROWTH_KB, "from {} kB to {last} kB", middle.1);
    assert_eq!(metric(&server, "semblance_buffered_bytes"), 0.0);
    assert!(server.stop().expect("the server ends").success());
    let errors = server.log().objects().into_iter().filter(|line| line["level"] == "ERROR");
    assert_eq!(errors.count(), 0);
}
