//! More connections than the server can have.

use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use semblance_test_support::Server;

use crate::raw::*;

#[test]
fn silent_connections_at_the_limit_of_descriptors_make_room() {
    for start in ["", "GET /health HTTP/1.1\r\nhost: x\r\n"] {
        let mut server = Server::start(command("ulimit -n 1024", &[])).unwrap();
        let silent: Vec<TcpStream> = (0..1_100).map(|_| send(&server, start)).collect();
        let started = Instant::now();
        assert_eq!(health(&server), 200, "{start:?}");
        // A connection makes room only after it was idle for a second.
        wait_until("there is room", || ask(&server, small()).0.status == 200);
        println!("next to 1,100 connections, {start:?}: {:.2?}", started.elapsed());
        assert!(metric(&server, "semblance_connections") <= 976.0 + 16.0);
        assert!(metric(&server, "semblance_displaced_connections_total") >= 100.0);
        let signaled = Instant::now();
        assert!(server.stop().expect("the server ends").success());
        println!("SIGTERM, 1,100 connections, {start:?}: {:.2?}", signaled.elapsed());
        drop(silent);
    }
}

#[test]
fn busy_connections_at_the_limit_leave_health_and_metrics_alone() {
    let server = serve(&["--max-connections", "20"]);
    let mut request = post("/embed", "", &[b' '; 100]);
    request.truncate(request.len() - 1);
    let busy: Vec<_> = (0..20).map(|_| send(&server, &request)).collect();
    wait_until("they are admitted", || metric(&server, "semblance_in_flight") == 20.0);
    assert_eq!(health(&server), 200);
    let (response, _) = ask(&server, small());
    assert_eq!((response.status, response.code().as_str()), (503, "http.too_many_connections"));
    assert!(response.head.contains("x-request-id: "), "{}", response.head);
    drop(busy);
    wait_until("there is room again", || ask(&server, small()).0.status == 200);
}

#[test]
fn a_limit_on_descriptors_that_is_too_low_has_a_code() {
    for limit in [10, 13, 51] {
        let output = command(&format!("ulimit -n {limit}"), &["--port", "0"]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{limit}: {error}");
        assert!(error.starts_with("error: server.too_few_descriptors: "), "{limit}: {error}");
    }
    let server = Server::start(command("ulimit -n 64", &[])).unwrap();
    assert_eq!(ask(&server, small()).0.status, 200);
}

#[test]
fn long_headers_and_ids_are_bounded() {
    let mut server = serve(&[]);
    let id = "x".repeat(20_000);
    let (response, _) = ask(&server, post("/embed", &format!("x-request-id: {id}\r\n"), b"{}"));
    assert_eq!(response.status, 422);
    assert!(response.head.len() < 1_000, "{}", response.head);
    let (response, _) =
        ask(&server, post("/embed", &format!("a: {}\r\n", "x".repeat(40_000)), b""));
    assert_eq!(response.status, 431);
    let method = "X".repeat(20_000);
    let request = format!("{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(ask(&server, request.into_bytes()).0.status, 405);
    assert!(server.stop().expect("the server ends").success());
    let lines = server.log().objects();
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.to_string().len() < 1_000, "{line}");
    }
}

#[test]
fn an_argument_out_of_range_is_refused() {
    for arguments in [
        ["--threads", "1000"],
        ["--threads", "0"],
        ["--max-header-bytes", "100"],
        ["--head-timeout-seconds", "0"],
        ["--shutdown-seconds", "99999"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_semblance"))
            .arg("serve")
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
