//! SIGTERM while clients stall, leave, or wait.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use semblance_test_support::Server;

use crate::raw::*;

/// What a client does when the signal comes.
struct Case {
    name: &'static str,
    client: fn(&Server) -> Vec<TcpStream>,
    /// The server ends within this time, and a few seconds for a busy machine.
    within: Duration,
}

const SLACK: Duration = Duration::from_secs(4);
const AT_ONCE: Duration = Duration::ZERO;
const SHUTDOWN: Duration = Duration::from_secs(3);

fn stalled_body(server: &Server) -> TcpStream {
    let mut request = post("/embed", "", &[b' '; 1_000]);
    request.truncate(request.len() - 500);
    send(server, request)
}

/// A client that reads nothing of a response that is larger than the buffers of the kernel.
pub(crate) fn stalled_reader(server: &Server) -> TcpStream {
    let texts = vec!["! ".repeat(2_000); 100];
    let body = serde_json::json!({"inputs": texts}).to_string();
    let stream = send(server, post("/tokenize", "", body.as_bytes()));
    let answered = "semblance_requests_total{route=\"/tokenize\",status=\"200\"}";
    wait_until("the response begins", || metric(server, answered) >= 1.0);
    stream
}

const CASES: [Case; 17] = [
    Case { name: "no connection", client: |_| vec![], within: AT_ONCE },
    Case { name: "nothing sent", client: |server| vec![connect(server)], within: AT_ONCE },
    Case {
        name: "half a request line",

        client: |server| vec![send(server, "POST /emb")],
        within: AT_ONCE,
    },
    Case {
        name: "half the headers",

        client: |server| vec![send(server, "POST /embed HTTP/1.1\r\nhost: localhost\r\n")],
        within: AT_ONCE,
    },
    Case {
        name: "half the preface of HTTP/2",

        client: |server| vec![send(server, "PRI * HTTP/2.0\r\n")],
        within: AT_ONCE,
    },
    Case {
        name: "an idle HTTP/2 connection",

        client: |server| vec![send(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")],
        within: AT_ONCE,
    },
    Case { name: "half a body", client: |server| vec![stalled_body(server)], within: SHUTDOWN },
    Case {
        name: "a response that nobody reads",

        client: |server| vec![stalled_reader(server)],
        within: SHUTDOWN,
    },
    Case {
        name: "an HTTP/2 response without a window",

        client: |server| vec![crate::http2::unread_response(server)],
        within: SHUTDOWN,
    },
    Case {
        name: "half a header block of HTTP/2",

        client: |server| {
            let headers = http2_headers(1, "POST", "/embed", 0);
            vec![send(server, [http2_preface(65_535), headers].concat())]
        },
        within: SHUTDOWN,
    },
    Case {
        name: "an HTTP/2 request without its body",

        client: |server| {
            let headers = http2_headers(1, "POST", "/embed", END_HEADERS);
            vec![send(server, [http2_preface(65_535), headers].concat())]
        },
        within: SHUTDOWN,
    },
    Case {
        name: "half a chunk",

        client: |server| {
            let head = "POST /embed HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n";
            vec![send(server, format!("{head}content-type: application/json\r\n\r\n64;x=y\r\n{{"))]
        },
        within: SHUTDOWN,
    },
    Case {
        name: "a client that got 100 Continue",

        client: |server| {
            let head = "POST /embed HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n";
            let head = format!("{head}content-type: application/json\r\ncontent-length: 9\r\n\r\n");
            vec![send(server, head)]
        },
        within: SHUTDOWN,
    },
    Case {
        name: "a half-closed connection",

        client: |server| {
            let stream = send(server, endless());
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            vec![stream]
        },
        within: SHUTDOWN,
    },
    Case {
        name: "half a body of HTTP/1.0",

        client: |server| vec![send(server, "POST /embed HTTP/1.0\r\ncontent-length: 9\r\n\r\n{")],
        within: SHUTDOWN,
    },
    Case {
        name: "a request that takes minutes",

        client: |server| {
            let stream = send(server, endless());
            wait_until("it runs", || metric(server, "semblance_in_flight") >= 1.0);
            vec![stream]
        },
        within: SHUTDOWN,
    },
    Case {
        name: "clients that left",

        client: |server| {
            drop([send(server, endless()), send(server, endless()), stalled_body(server)]);
            vec![]
        },
        within: SHUTDOWN,
    },
];

#[test]
fn the_server_ends_in_time_whatever_a_client_does() {
    for case in CASES {
        let mut server = serve(&["--shutdown-seconds", "3"]);
        let clients = (case.client)(&server);
        // The bytes arrive before the signal.
        thread::sleep(Duration::from_millis(200));
        let signaled = Instant::now();
        let status = server.stop().expect("the server ends");
        let took = signaled.elapsed();
        println!("SIGTERM, {}: {:.2} s", case.name, took.as_secs_f64());
        assert!(status.success(), "{}: {status}", case.name);
        assert!(took < case.within + SLACK, "{}: {took:?}", case.name);
        drop(clients);
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for signals in [["TERM", "TERM"], ["INT", "INT"], ["TERM", "INT"]] {
        let mut server = serve(&["--shutdown-seconds", "3600"]);
        let client = stalled_body(&server);
        wait_until("it has a request", || metric(&server, "semblance_in_flight") >= 1.0);
        server.signal(signals[0]);
        wait_until("it stops", || server.log().with_message("stopping").len() == 1);
        thread::sleep(Duration::from_millis(300));
        let signaled = Instant::now();
        server.signal(signals[1]);
        server.wait().expect("the server ends");
        println!("second signal, {signals:?}: {:.2} s", signaled.elapsed().as_secs_f64());
        assert!(signaled.elapsed() < SLACK, "{signals:?}: {:?}", signaled.elapsed());
        drop(client);
    }
}

#[test]
fn requests_that_are_left_at_the_end_are_logged() {
    let mut server = serve(&["--shutdown-seconds", "1"]);
    let client = send(&server, endless());
    wait_until("it runs", || metric(&server, "semblance_in_flight") >= 1.0);
    assert!(server.stop().expect("the server ends").success());
    let line = server.log().with_message("event refused").pop().unwrap();
    assert_eq!((&line["status"], &line["code"]), (&503.into(), &"http.stopping".into()));
    assert_eq!(server.log().with_message("connections dropped").len(), 1);
    drop(client);
}

#[test]
fn a_complete_request_is_answered_after_the_signal() {
    let mut server = serve(&["--shutdown-seconds", "60"]);
    let silent = connect(&server);
    let mut half = send(&server, "GET /health HTTP/1.1\r\n");
    let running = send(&server, post("/embed", "", &texts(50, 30)));
    wait_until("it runs", || metric(&server, "semblance_in_flight") >= 1.0);
    server.signal("TERM");
    wait_until("it stops", || server.log().with_message("stopping").len() == 1);
    half.write_all(b"host: localhost\r\n\r\n").unwrap();
    assert_eq!(read(half).unwrap().status, 200, "a head that arrives within a second");
    assert_eq!(read(running).unwrap().status, 200);
    assert!(server.wait().expect("the server ends").success());
    drop(silent);
}
