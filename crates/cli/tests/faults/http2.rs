//! HTTP/2 with prior knowledge, on the port of HTTP/1.1.

use std::future::poll_fn;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use semblance_test_support::Server;
use serde_json::{Value, json};

use crate::raw::*;

async fn client(server: &Server) -> http2::SendRequest<Body> {
    let address = server.url().strip_prefix("http://").unwrap();
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(server: &Server, body: String) -> Request<Body> {
    Request::post(format!("{}/embed", server.url()))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_request_needs_a_key() {
    let server = serve(&["--api-key", "first"]);
    run(async {
        let mut client = client(&server).await;
        for (name, value, status) in [
            ("x-none", "first", 401),
            ("x-api-key", "wrong", 401),
            ("authorization", "Bearer wrong", 401),
            ("x-api-key", "first", 200),
            ("authorization", "Bearer first", 200),
        ] {
            let mut request = request(&server, json!({"inputs": "a"}).to_string());
            request.headers_mut().insert(name, value.parse().unwrap());
            let response = client.send_request(request).await.unwrap();
            assert_eq!(response.version(), Version::HTTP_2);
            assert_eq!(response.status().as_u16(), status, "{name}: {value}");
        }
        let health = Request::get(format!("{}/health", server.url())).body(Body::empty());
        assert_eq!(client.send_request(health.unwrap()).await.unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn requests_share_a_connection() {
    let mut server = serve(&[]);
    run(async {
        let client = client(&server).await;
        let ask = |text: usize| {
            let body = json!({"inputs": format!("text {text}")}).to_string();
            let sent = client.clone().send_request(request(&server, body));
            async move {
                let response = sent.await.unwrap();
                assert_eq!(
                    (response.version(), response.status()),
                    (Version::HTTP_2, StatusCode::OK)
                );
                assert!(response.headers().contains_key("x-request-id"));
                let body = response.into_body().collect().await.unwrap().to_bytes();
                let rows: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(rows[0].as_array().unwrap().len(), 384);
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        for text in 0..20 {
            tasks.spawn(ask(text));
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    assert_eq!(health(&server), 200, "HTTP/1.1 on the same port");
    assert!(server.stop().expect("the server ends").success());
}

#[test]
fn a_reset_stream_cancels_its_request() {
    let server = serve(&[]);
    run(async {
        let mut client = client(&server).await;
        poll_fn(|context| client.poll_ready(context)).await.unwrap();
        let body = String::from_utf8(texts(1_000, 260)).unwrap();
        let sent = client.send_request(request(&server, body));
        let sent = tokio::time::timeout(Duration::from_millis(2_000), sent).await;
        assert!(sent.is_err(), "it takes minutes, and is dropped now");
        // The reset is sent while the connection runs.
        tokio::time::sleep(Duration::from_millis(500)).await;
    });
    wait_until("it is canceled", || {
        metric(&server, "semblance_requests_total{route=\"/embed\",status=\"499\"}") == 1.0
            && metric(&server, "semblance_in_flight") == 0.0
    });
}

#[test]
fn the_preface_can_arrive_in_parts() {
    let server = serve(&[]);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut stream = connect(&server);
    for part in preface.chunks(5) {
        stream.write_all(part).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    // An empty SETTINGS frame. The server answers with its own.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut head = [0; 9];
    std::io::Read::read_exact(&mut stream, &mut head).unwrap();
    assert_eq!(head[3], 4, "a SETTINGS frame: {head:?}");
    // What only begins like the preface is HTTP/1.1.
    let (response, _) = ask(&server, b"PRI /health HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec());
    assert_eq!(response.status, 405);
}

/// A request to tokenize, whose response is much larger than what the client allows to send.
pub(crate) fn unread_response(server: &Server) -> std::net::TcpStream {
    let body = json!({"inputs": "!".repeat(50_000)}).to_string();
    let mut bytes = http2_preface(0);
    bytes.extend(http2_headers(1, "POST", "/tokenize", END_HEADERS));
    for part in body.as_bytes().chunks(16_000) {
        bytes.extend(frame(0, 0, 1, part));
    }
    bytes.extend(frame(0, END_STREAM, 1, b""));
    // All of it fits into the window of the server.
    let stream = send(server, bytes);
    let answered = "semblance_requests_total{route=\"/tokenize\",status=\"200\"}";
    wait_until("the response begins", || metric(server, answered) >= 1.0);
    stream
}

#[test]
fn a_response_that_a_window_holds_back_is_given_up() {
    let server = serve(&["--write-timeout-seconds", "1"]);
    let mut stream = unread_response(&server);
    // A window of a byte at a time is no progress.
    let dripped = thread::spawn(move || {
        let drop = [frame(8, 0, 0, &[0, 0, 0, 1]), frame(8, 0, 1, &[0, 0, 0, 1])].concat();
        (0..300).any(|_| {
            thread::sleep(Duration::from_millis(100));
            stream.write_all(&drop).is_err()
        })
    });
    wait_until("its memory is given back", || metric(&server, "semblance_buffered_bytes") == 0.0);
    assert!(dripped.join().unwrap(), "the connection is closed");
    assert_eq!(health(&server), 200);
}

#[test]
fn streams_that_are_reset_at_once_cost_little() {
    let server = serve(&[]);
    let mut stream = send(&server, http2_preface(65_535));
    let started = std::time::Instant::now();
    let mut sent = 0;
    for number in 0..20_000 {
        let id = 2 * number + 1;
        let request = http2_headers(id, "POST", "/embed", END_HEADERS);
        let reset = frame(3, 0, id, &[0, 0, 0, 8]);
        if stream.write_all(&[request, reset].concat()).is_err() {
            break;
        }
        sent += 1;
    }
    println!("{sent} streams were sent and reset in {:.1?}", started.elapsed());
    assert_eq!(health(&server), 200);
    assert_eq!(ask(&server, small()).0.status, 200);
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    assert!(metric(&server, "semblance_buffered_bytes") < 1e6);
}

#[test]
fn more_streams_than_allowed_are_refused_and_the_others_are_answered() {
    let server = serve(&[]);
    let mut bytes = http2_preface(65_535);
    for number in 0..300 {
        bytes.extend(http2_headers(2 * number + 1, "GET", "/health", END_HEADERS | END_STREAM));
    }
    let mut stream = send(&server, bytes);
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    let (mut headers, mut resets, mut at) = (0, 0, 0);
    while at + 9 <= answer.len() {
        match answer[at + 3] {
            1 => headers += 1,
            3 => resets += 1,
            _ => {}
        }
        at += 9 + u32::from_be_bytes([0, answer[at], answer[at + 1], answer[at + 2]]) as usize;
    }
    println!("300 streams at once: {headers} responses, {resets} resets");
    assert_eq!(headers + resets, 300);
    assert!(headers >= 64, "{headers}");
    assert_eq!(health(&server), 200);
}

#[test]
fn wrong_frames_end_the_connection_and_nothing_else() {
    let server = serve(&["--head-timeout-seconds", "1", "--idle-timeout-seconds", "1"]);
    let preface = || http2_preface(65_535);
    let headers = |flags| http2_headers(1, "POST", "/embed", flags);
    let continuation = frame(9, 0, 1, &[0x00; 100]);
    let cases = [
        ("no SETTINGS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("not a frame", [preface(), vec![0xff; 200]].concat()),
        ("DATA on an idle stream", [preface(), frame(0, 1, 7, b"a")].concat()),
        ("an even stream", [preface(), http2_headers(2, "GET", "/health", 5)].concat()),
        ("headers without an end", [preface(), headers(0)].concat()),
        (
            "CONTINUATION without an end",
            [preface(), headers(0), continuation.repeat(5_000)].concat(),
        ),
        ("a wrong header block", [preface(), frame(1, 5, 1, &[0xff; 40])].concat()),
        (
            "a window beyond the limit",
            [preface(), frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])].concat(),
        ),
        ("many PINGs", [preface(), frame(6, 0, 0, &[0; 8]).repeat(20_000)].concat()),
        ("many SETTINGS", [preface(), frame(4, 0, 0, &[]).repeat(20_000)].concat()),
        ("empty DATA frames", [preface(), headers(4), frame(0, 0, 1, b"").repeat(20_000)].concat()),
        ("a priority of itself", [preface(), frame(2, 0, 1, &[0, 0, 0, 1, 16])].concat()),
    ];
    for (name, bytes) in cases {
        let mut stream = connect(&server);
        // The server can close the connection before it has read everything. It reads no further if
        // the client does not read.
        stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
        let _ = stream.write_all(&bytes);
        let started = std::time::Instant::now();
        assert_eq!(health(&server), 200, "{name}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}");
        if name != "empty DATA frames" {
            let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
        }
        println!("{name}: {:.1?}", started.elapsed());
    }
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    assert_eq!(ask(&server, small()).0.status, 200);
}
