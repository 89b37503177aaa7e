//! Requests whose framing is wrong, ambiguous or unusual. A request that two programs could read
//! differently is refused, and nothing after it on the connection is answered.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use semblance_test_support::Server;

use crate::raw::*;

const BODY: &str = r#"{"inputs": "a"}"#;

/// A second request, which a server that misreads the first one would answer.
const SMUGGLED: &str = "GET /health HTTP/1.1\r\nhost: x\r\nx-request-id: smuggled\r\n\r\n";

/// Starts a server that soon closes a connection on which nothing arrives.
fn impatient() -> Server {
    serve(&[
        "--idle-timeout-seconds",
        "1",
        "--head-timeout-seconds",
        "1",
        "--body-timeout-seconds",
        "1",
    ])
}

/// Sends bytes and returns all that the server answers until it closes the connection.
fn exchange(server: &Server, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = connect(server);
    // The server can close the connection before it has read everything.
    let _ = stream.write_all(bytes.as_ref());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of all responses in an answer.
fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.split("HTTP/1.").skip(1);
    lines.filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect()
}

fn embed(headers: &str, body: &str) -> String {
    format!(
        "POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}"
    )
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[test]
fn a_request_with_wrong_framing_is_refused_and_ends_the_connection() {
    let server = impatient();
    let length = BODY.len();
    let two =
        |first: &str, second: &str| format!("content-length: {first}\r\ncontent-length: {second}");
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("a negative length", embed("content-length: -1", BODY), &[400]),
        ("a length with a sign", embed(&format!("content-length: +{length}"), BODY), &[400]),
        ("a hexadecimal length", embed("content-length: 0x0f", BODY), &[400]),
        ("an empty length", embed("content-length:", BODY), &[400]),
        ("a list of lengths", embed(&format!("content-length: {length}, {length}"), BODY), &[400]),
        ("two different lengths", embed(&two("15", "0"), BODY), &[400]),
        ("a length of 2^64", embed("content-length: 18446744073709551616", BODY), &[400]),
        ("a length of 9e18", embed("content-length: 9000000000000000000", ""), &[413]),
        ("a space before the colon", embed(&format!("content-length : {length}"), BODY), &[400]),
        ("an unknown coding", embed("transfer-encoding: xchunked", &chunked(BODY)), &[400]),
        (
            "chunked is not last",
            embed("transfer-encoding: chunked, identity", &chunked(BODY)),
            &[400],
        ),
        (
            "a folded header",
            embed("x: a\r\n b\r\ntransfer-encoding:\r\n chunked", &chunked(BODY)),
            &[400],
        ),
        ("a NUL in a header", embed("x: a\0b", ""), &[400]),
        ("a bare CR in a header", embed("x: a\rb", ""), &[400]),
        ("no name", embed(": a", ""), &[400]),
        ("a space in the path", "GET /health /x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[400]),
        (
            "a control character in the path",
            "GET /hea\x01lth HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            &[400],
        ),
        ("HTTP/0.9", "GET /health\r\n\r\n".to_owned(), &[400]),
        ("HTTP/3.0", "GET /health HTTP/3.0\r\nhost: x\r\n\r\n".to_owned(), &[400]),
        ("a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03\r\n\r\n".to_owned(), &[400]),
        (
            "a chunk size of 2^68",
            embed("transfer-encoding: chunked", "100000000000000000\r\na\r\n0\r\n\r\n"),
            &[400],
        ),
        ("no chunk size", embed("transfer-encoding: chunked", "\r\na\r\n0\r\n\r\n"), &[400]),
        (
            "a negative chunk size",
            embed("transfer-encoding: chunked", "-1\r\na\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "a chunk that is longer than its size",
            embed("transfer-encoding: chunked", "1\r\nab\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "a chunk extension of 1 MB",
            embed("transfer-encoding: chunked", &format!("1;{}\r\n", "x".repeat(1_000_000))),
            &[400],
        ),
        (
            "many small chunk extensions",
            embed("transfer-encoding: chunked", &"1;xxxxxxxxxxxxxxxxxxxx\r\n[\r\n".repeat(40_000)),
            &[400],
        ),
        (
            "trailers of 1 MB",
            embed(
                "transfer-encoding: chunked",
                &format!("0\r\n{}\r\n", "x: y\r\n".repeat(170_000)),
            ),
            &[400, 431],
        ),
        (
            "a path of 66 kB",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(66_000)),
            &[414, 431],
        ),
        ("a header of 1 MB", embed(&format!("x: {}", "y".repeat(1_000_000)), ""), &[431]),
        ("120 headers", embed(&"x: y\r\n".repeat(120), ""), &[431]),
        ("a body that ends early", embed("content-length: 100", BODY), &[400, 408]),
        ("chunks that end early", embed("transfer-encoding: chunked", "64\r\n{"), &[400, 408]),
    ];
    for (name, request, expected) in cases {
        let answer = exchange(&server, request + SMUGGLED);
        let statuses = statuses(&answer);
        assert!(
            statuses.first().is_none_or(|status| expected.contains(status)) && statuses.len() <= 1,
            "{name}: {statuses:?} {answer:.600}"
        );
        assert!(!answer.contains("smuggled"), "{name}: {answer:.600}");
        println!("{name}: {statuses:?}");
    }
    assert_eq!(health(&server), 200);
    assert_eq!(metric(&server, "semblance_in_flight"), 0.0);
}

#[test]
fn a_request_with_two_framings_ends_the_connection() {
    let server = impatient();
    let (length, chunked_body) = (BODY.len(), chunked(BODY));
    for headers in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        "transfer-encoding: chunked\r\ncontent-length: 0".to_owned(),
    ] {
        let answer = exchange(&server, embed(&headers, &chunked_body) + SMUGGLED);
        let statuses = statuses(&answer);
        // RFC 9112, section 6.3: chunked counts, and the connection is closed after the response.
        assert!(statuses == [200] || statuses == [400], "{headers}: {answer}");
        assert!(!answer.contains("smuggled"), "{headers}: {answer}");
    }
}

#[test]
fn unusual_framing_is_read() {
    let server = impatient();
    let length = BODY.len();
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("two equal lengths", embed(&format!("content-length: {length}\r\ncontent-length: {length}"), BODY), &[200, 400]),
        ("chunks of one byte", embed("transfer-encoding: chunked", &{
            let chunks: String = BODY.chars().map(|char| format!("1\r\n{char}\r\n")).collect();
            chunks + "0\r\n\r\n"
        }), &[200]),
        ("a chunk extension", embed("Transfer-Encoding: Chunked", &format!("{length:x};a=\"b\"\r\n{BODY}\r\n0\r\n\r\n")), &[200]),
        ("a trailer", embed("transfer-encoding: chunked", &format!("{length:x}\r\n{BODY}\r\n0\r\nx-request-id: z\r\n\r\n")), &[200]),
        ("Expect", embed(&format!("expect: 100-continue\r\ncontent-length: {length}"), BODY), &[100, 200]),
        ("another expectation", embed(&format!("expect: something\r\ncontent-length: {length}"), BODY), &[200, 417]),
        ("HTTP/1.0", format!("POST /embed HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"), &[200]),
        ("HTTP/1.0 without a length", format!("POST /embed HTTP/1.0\r\ncontent-type: application/json\r\n\r\n{BODY}"), &[422, 400]),
        ("an upgrade to HTTP/2", embed(&format!("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: {length}"), BODY), &[200]),
        ("an upgrade to a web socket", "GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n".to_owned(), &[200]),
        ("an absolute URI", "GET http://x/health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[200]),
        ("CONNECT", "CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n".to_owned(), &[404, 405]),
        ("an asterisk", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404, 204]),
        ("no host", "GET /health HTTP/1.1\r\n\r\n".to_owned(), &[200, 400]),
        ("lines that end with LF", "GET /health HTTP/1.1\nhost: x\n\n".to_owned(), &[200, 400]),
        ("empty lines before the request", "\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[200]),
        ("PRI with a path", "PRI /health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[405]),
    ];
    for (name, request, expected) in cases {
        let answer = exchange(&server, request);
        let statuses = statuses(&answer);
        println!("{name}: {statuses:?}");
        assert!(!statuses.is_empty(), "{name}: no response");
        assert!(statuses.iter().all(|status| expected.contains(status)), "{name}: {answer:.600}");
    }
}

#[test]
fn every_pipelined_request_is_answered_in_order() {
    let server = impatient();
    let requests: String = (0..1_000)
        .map(|number| format!("GET /health HTTP/1.1\r\nhost: x\r\nx-request-id: n{number}\r\n\r\n"))
        .collect();
    let answer = exchange(&server, requests + &embed("content-length: 15", BODY));
    assert_eq!(statuses(&answer), [200; 1_001]);
    let ids: Vec<&str> = answer.split("x-request-id: n").skip(1).collect();
    for (number, id) in ids.iter().enumerate() {
        assert!(id.starts_with(&format!("{number}\r\n")), "{number}");
    }
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn a_client_that_closes_its_side_has_left() {
    let server = impatient();
    let long = post("/embed", "", &texts(1_000, 260));
    for request in [
        long.as_slice(),
        b"GET /hea",
        b"POST /embed HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let mut stream = send(&server, request);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    assert_eq!(health(&server), 200);
}

#[test]
fn a_client_that_waits_for_100_continue_is_answered_before_its_body() {
    let server = serve(&["--max-body-bytes", "1000"]);
    let head = |length: usize| {
        format!(
            "POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    // A body that is too large is refused without being asked for.
    let response = read(send(&server, head(5_000))).unwrap();
    assert_eq!((response.status, response.code().as_str()), (413, "http.body_too_large"));
    let mut stream = send(&server, head(BODY.len()));
    let mut start = [0; 21];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue");
    thread::sleep(Duration::from_millis(100));
    stream.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
}
