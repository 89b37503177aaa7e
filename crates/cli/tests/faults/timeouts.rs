//! Clients that stop in the middle, while the server runs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use semblance_test_support::Server;

use crate::raw::*;
use crate::shutdown::stalled_reader;

const SLACK: Duration = Duration::from_secs(5);

#[test]
fn a_head_that_does_not_end_closes_the_connection() {
    let server = serve(&["--head-timeout-seconds", "1"]);
    for start in ["", "P", "GET /health HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\n"] {
        let started = Instant::now();
        assert!(read(send(&server, start)).is_none(), "{start:?}");
        assert!(started.elapsed() < Duration::from_secs(1) + SLACK, "{start:?}");
    }
    // A drop at a time makes no difference.
    let mut stream = send(&server, "GET /health HTTP/1.1\r\n");
    let started = Instant::now();
    let closed = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(100));
        stream.write_all(b"a: b\r\n").is_err()
    });
    assert!(closed && started.elapsed() < Duration::from_secs(1) + SLACK);
}

#[test]
fn a_body_that_does_not_end_is_a_408_with_the_usual_headers() {
    let mut server =
        serve(&["--body-timeout-seconds", "1", "--cors-origin", "https://example.com"]);
    let headers = "x-request-id: slow-1\r\norigin: https://example.com\r\n";
    let mut request = post("/embed", headers, &[b' '; 100]);
    request.truncate(request.len() - 1);
    let (response, took) = ask(&server, request);
    assert_eq!((response.status, response.code().as_str()), (408, "http.body_timed_out"));
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    for header in [
        "x-request-id: slow-1",
        "x-content-type-options: nosniff",
        "access-control-allow-origin: https://example.com",
    ] {
        assert!(response.head.contains(header), "{header} in {}", response.head);
    }
    wait_until("it is not counted", || metric(&server, "semblance_in_flight") == 0.0);
    // The log is complete when the server has ended.
    assert!(server.stop().expect("the server ends").success());
    let line = server.log().with_message("event refused").pop().unwrap();
    assert_eq!((&line["status"], &line["request_id"]), (&408.into(), &"slow-1".into()));
}

#[test]
fn an_idle_connection_is_closed() {
    let server = serve(&["--idle-timeout-seconds", "1"]);
    let mut stream = send(&server, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    let started = Instant::now();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let took = started.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(1) + SLACK, "{took:?}");
}

#[test]
fn a_response_that_nobody_reads_is_given_up() {
    let server = serve(&["--write-timeout-seconds", "1"]);
    let mut stream = stalled_reader(&server);
    wait_until("its memory is given back", || metric(&server, "semblance_buffered_bytes") == 0.0);
    // Its own connection is that of the metric.
    wait_until("it is closed", || metric(&server, "semblance_connections") <= 1.0);
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    assert!(ended.is_err() || bytes.len() < 10_000_000, "the response is incomplete");
}

#[test]
fn timed_out_requests_leave_the_model_at_the_next_pass() {
    let server = serve(&["--timeout-seconds", "3"]);
    // Any of them is done within the time, all together are not.
    let running: Vec<_> =
        (0..200).map(|_| send(&server, post("/embed", "", &texts(2, 260)))).collect();
    let mut statuses: Vec<_> =
        running.into_iter().map(|stream| read(stream).unwrap().status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses.last(), Some(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    wait_until("they are over", || metric(&server, "semblance_in_flight") == 0.0);
    assert_eq!(ask(&server, small()).0.status, 200);
}

#[test]
fn stalled_requests_leave_health_and_metrics_alone() {
    let server = serve(&["--max-concurrent-requests", "8"]);
    let mut request = post("/embed", "", &[b' '; 100]);
    request.truncate(request.len() - 1);
    let stalled: Vec<_> = (0..8).map(|_| send(&server, &request)).collect();
    wait_until("they are admitted", || metric(&server, "semblance_in_flight") == 8.0);
    let (response, _) = ask(&server, small());
    assert_eq!((response.status, response.code().as_str()), (429, "http.overloaded"));
    assert_eq!(health(&server), 200);
    drop(stalled);
    wait_until("there is room again", || ask(&server, small()).0.status == 200);
}

/// Sends bytes, and then a unit every 100 ms until the server closes the connection. Returns what it
/// answered.
fn drip(server: &Server, first: &[u8], unit: &[u8]) -> Vec<u8> {
    let (mut stream, mut answer) = (send(server, first), Vec::new());
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Ok(0) => return answer,
            Ok(read) => answer.extend(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return answer,
        }
        // The server has closed its side if this fails. Its response can still be there to read.
        let _ = stream.write_all(unit);
    }
    panic!("the connection is open after {:?}", started.elapsed());
}

#[test]
fn a_byte_at_a_time_makes_no_difference() {
    let limits = ["head", "body", "idle"].map(|name| format!("--{name}-timeout-seconds"));
    let server = serve(&[&limits[0], "1", &limits[1], "2", &limits[2], "1"]);
    let head = "POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let http1 = |rest: &str| format!("{head}{rest}").into_bytes();
    let http2 = |frames: &[Vec<u8>]| [http2_preface(65_535), frames.concat()].concat();
    let request = |method: &str, path: &str| http2_headers(1, method, path, END_HEADERS);
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let body = frame(0, 0, 1, br#"{"inputs": "a"}"#);
    let field = b"\0\x01a\x01b";
    let cases: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        ("empty lines", vec![], b"\r\n".to_vec()),
        ("a body", http1("content-length: 1000\r\n\r\n"), b" ".to_vec()),
        ("chunks", http1(chunked), b"1\r\n \r\n".to_vec()),
        ("a chunk extension", http1(&format!("{chunked}1;")), b"x".to_vec()),
        ("trailers", http1(&format!("{chunked}1\r\n{{\r\n0\r\n")), b"x: y\r\n".to_vec()),
        ("100 Continue", http1("expect: 100-continue\r\ncontent-length: 9\r\n\r\n"), vec![]),
        (
            "a second head",
            b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /hea".to_vec(),
            b"l".to_vec(),
        ),
        ("PING", http2(&[]), frame(6, 0, 0, &[0; 8])),
        ("SETTINGS", http2(&[]), frame(4, 0, 0, &[])),
        ("PRIORITY", http2(&[]), frame(2, 0, 1, &[0, 0, 0, 0, 16])),
        ("an unknown frame", http2(&[]), frame(77, 0, 0, &[])),
        ("CONTINUATION", http2(&[http2_headers(1, "POST", "/embed", 0)]), frame(9, 0, 1, field)),
        ("DATA", http2(&[request("POST", "/embed")]), frame(0, 0, 1, b" ")),
        ("empty DATA", http2(&[request("POST", "/embed")]), frame(0, 0, 1, b"")),
        ("DATA of a GET", http2(&[request("GET", "/health")]), frame(0, 0, 1, b" ")),
        ("DATA of no route", http2(&[request("POST", "/none")]), frame(0, 0, 1, b" ")),
        (
            "trailers of HTTP/2",
            http2(&[request("POST", "/embed"), body, frame(1, END_STREAM, 1, field)]),
            frame(9, 0, 1, field),
        ),
    ];
    thread::scope(|scope| {
        for (name, first, unit) in &cases {
            let server = &server;
            scope.spawn(move || {
                let started = Instant::now();
                let answer = drip(server, first, unit);
                println!("{name}: closed after {:.1?}", started.elapsed());
                assert!(started.elapsed() < Duration::from_secs(3) + SLACK, "{name}");
                let answer = String::from_utf8_lossy(&answer);
                assert!(!answer.contains("HTTP/1.1 200") || *name == "a second head", "{name}");
            });
        }
    });
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    assert_eq!(ask(&server, small()).0.status, 200);
}
