//! Standard output that nobody reads, that is full, or that is closed.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::raw::*;

/// A server whose log is not read.
struct Silent {
    process: Child,
    address: String,
}

impl Silent {
    /// Starts a server, with its log as the shell prefix says, and waits until it listens.
    fn start(prefix: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.to_string();
        let mut command = command(prefix, &["--port", &port, "--shutdown-seconds", "3"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let server = Self { process, address: format!("127.0.0.1:{port}") };
        wait_until("it listens", || std::net::TcpStream::connect(&server.address).is_ok());
        server
    }

    fn ask(&self, request: Vec<u8>) -> Response {
        read(send_to(&self.address, request)).unwrap()
    }

    fn dropped_lines(&self) -> f64 {
        let metrics = String::from_utf8(self.ask(get("/metrics")).body).unwrap();
        metric_in(&metrics, "semblance_dropped_log_lines_total")
    }

    /// Asks the server to stop. It must end in time.
    fn stop(&mut self) {
        let signaled = Instant::now();
        let id = self.process.id().to_string();
        std::process::Command::new("kill").arg(&id).status().unwrap();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(signaled.elapsed() < Duration::from_secs(10), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        println!("SIGTERM, a blocked log: {:.2?}", signaled.elapsed());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_blocks_nobody() {
    // The pipe has room for about 250 lines, and the queue for 1,024.
    let mut server = Silent::start("");
    for _ in 0..2_000 {
        assert_eq!(server.ask(get("/health")).status, 200);
    }
    assert_eq!(server.ask(small()).status, 200);
    assert!(server.dropped_lines() > 0.0);
    server.stop();
}

#[test]
fn a_full_disk_is_counted() {
    let mut server = Silent::start("exec > /dev/full");
    for _ in 0..20 {
        assert_eq!(server.ask(get("/health")).status, 200);
    }
    assert_eq!(server.ask(small()).status, 200);
    wait_until("lines are counted", || server.dropped_lines() >= 20.0);
    server.stop();
}

#[test]
fn a_reader_of_the_log_that_left_is_no_error() {
    let mut server = Silent::start("");
    drop(server.process.stdout.take());
    for _ in 0..20 {
        assert_eq!(server.ask(get("/health")).status, 200);
    }
    wait_until("lines are counted", || server.dropped_lines() >= 20.0);
    server.stop();
}

#[test]
fn a_log_at_the_limit_on_the_size_of_files_is_counted() {
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log");
    let mut server = Silent::start(&format!("ulimit -f 8; exec > {}", log.display()));
    for _ in 0..60 {
        assert_eq!(server.ask(get("/health")).status, 200);
        assert_eq!(server.ask(small()).status, 200);
    }
    wait_until("lines are counted", || server.dropped_lines() >= 20.0);
    server.stop();
    assert!(std::fs::metadata(log).unwrap().len() <= 4_096);
}
