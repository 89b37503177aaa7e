//! Clients that stop in the middle, while the server runs.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

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
