//! `semblance serve` as a process: answers, limits, and a clean shutdown.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use semblance_test_support::{Server, assert_close, bundle, cross_encoder_bundle};
use serde_json::{Value, json};

use crate::client::Client;
use crate::serve;

/// A request that keeps the model busy for more than a second.
fn long_request() -> Value {
    let texts: Vec<String> =
        (0..400).map(|i| format!("{i} {}", "some more words ".repeat(6))).collect();
    json!({"inputs": texts})
}

#[test]
fn it_answers_as_the_library_and_counts_it() {
    let server = serve(&[]);
    let client = Client::new(&server);
    let event = json!({"query_from_app": "How many people live in London?",
                       "actual_queries": ["Around 9 Million people live in London"]});
    let (status, answer) = client.post("/", &event);
    assert_eq!(status, 200);
    assert_close(&answer["Scores"][0][1], &json!(0.882_351_8));
    assert_eq!(client.post("/embed", &json!({})).0, 422);
    assert_eq!(client.metric("semblance_requests_total{route=\"/\",status=\"200\"}"), 1.0);
    assert_eq!(client.metric("semblance_requests_total{route=\"/embed\",status=\"422\"}"), 1.0);
    assert_eq!(client.metric("semblance_texts_total"), 2.0);
    assert!(client.get("/metrics").ends_with("# EOF\n"));
    assert!(client.metric("semblance_request_seconds_count{route=\"/\"}") >= 1.0);
}

#[test]
fn it_starts_with_two_models_every_time() {
    let cross_encoder = cross_encoder_bundle("cross").display().to_string();
    let pair = json!({"inputs": ["How many people live in London?", "Around 9 million"]});
    // Both models load at the same time. A race shows in a fresh process only.
    for _ in 0..8 {
        let server = serve(&["--cross-encoder", &cross_encoder]);
        assert_eq!(Client::new(&server).post("/predict", &pair).0, 200);
    }
}

#[test]
fn concurrent_requests_have_their_own_replies() {
    let server = serve(&["--threads", "2"]);
    let client = Client::new(&server);
    let texts: Vec<String> =
        (0..48).map(|i| format!("text number {i} {}", "word ".repeat(i % 9))).collect();
    let (_, alone) = client.post("/embed", &json!({"inputs": texts}));
    let replies: Vec<(u16, Value)> = thread::scope(|scope| {
        let ask = |text| {
            let (client, body) = (&client, json!({"inputs": text}));
            scope.spawn(move || client.post("/embed", &body))
        };
        let threads: Vec<_> = texts.iter().map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(replies.iter().all(|(status, _)| *status == 200));
    let rows: Vec<Value> = replies.into_iter().map(|(_, mut rows)| rows[0].take()).collect();
    assert_close(&json!(rows), &alone);
}

#[test]
fn too_many_requests_are_refused_but_not_health() {
    let server = serve(&["--max-concurrent-requests", "1", "--threads", "1"]);
    let client = Client::new(&server);
    let text = json!({"inputs": "a"});
    thread::scope(|scope| {
        let long = scope.spawn(|| client.post("/embed", &long_request()));
        client.wait_for_in_flight(1.0);
        let (status, retry_after, reply) = client.send("/embed", &text);
        assert_eq!((status, retry_after.as_deref()), (429, Some("1")));
        assert_eq!(reply["error_type"], "http.overloaded");
        client.get("/health");
        assert_eq!(long.join().unwrap().0, 200);
    });
    assert_eq!(client.post("/embed", &text).0, 200, "there is room again");
}

#[test]
fn a_signal_finishes_running_requests() {
    for signal in ["TERM", "INT"] {
        let mut server = serve(&["--threads", "1", "--shutdown-seconds", "300"]);
        let client = Client::new(&server);
        let (status, rows) = thread::scope(|scope| {
            let long = scope.spawn(|| client.post("/embed", &long_request()));
            client.wait_for_in_flight(1.0);
            server.signal(signal);
            long.join().unwrap()
        });
        assert_eq!((status, rows.as_array().unwrap().len()), (200, 400), "{signal}");
        let status = server.wait().expect("the server ends");
        assert!(status.success(), "{signal}: {status}");
        assert_eq!(server.log().with_message("stopping").len(), 1);
        let address = server.url().strip_prefix("http://").unwrap();
        assert!(TcpStream::connect(address).is_err(), "nothing listens");
    }
}

#[test]
fn an_idle_connection_does_not_delay_the_end() {
    let mut server = serve(&[]);
    let address = server.url().strip_prefix("http://").unwrap();
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    assert!(server.stop().expect("the server ends").success());
}

#[test]
fn a_start_that_fails_has_a_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let bundle = bundle().display().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&["--port", &port], "server.address_unavailable"),
        (&["--port", "0", "--cors-origin", "example.com"], "config.invalid"),
        (&["--port", "0", "--cross-encoder", &bundle], "bundle.wrong_task"),
        (&["--port", "0", "--cross-encoder", "/nowhere"], "bundle.folder_missing"),
    ];
    let found = cases.map(|(arguments, _)| {
        let output =
            Server::command(env!("CARGO_BIN_EXE_semblance").as_ref(), arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        let code = error.strip_prefix("error: ").and_then(|rest| rest.split(": ").next());
        (output.status.code(), code.map(str::to_owned))
    });
    assert_eq!(found, cases.map(|(_, code)| (Some(1), Some(code.to_owned()))));
}

#[test]
fn a_request_that_cannot_end_in_time_is_refused_early() {
    let arguments = ["--threads", "1", "--timeout-seconds", "45", "--max-body-bytes", "10000000"];
    let mut command = Server::command(env!("CARGO_BIN_EXE_semblance").as_ref(), &arguments);
    command.env("SEMBLANCE_MAX_TEXTS", "20000");
    let server = Server::start(command).unwrap();
    let client = Client::new(&server);
    // 2.5 million tokens are minutes of work.
    let texts: Vec<String> =
        (0..10_000).map(|number| format!("{number}{}", " a".repeat(250))).collect();
    let (status, retry_after, body) = client.send("/embed", &json!({"inputs": texts}));
    assert_eq!((status, retry_after), (413, None), "{body}");
    assert_eq!(body["error_type"], "request.too_much_work");
    let (status, _) = client.post("/embed", &json!({"inputs": "a text"}));
    assert_eq!(status, 200);
}
