//! Attacks that never worked, so that they never will.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use semblance_test_support::{bundle, library};

use crate::raw::*;

/// The signal of `abort`.
const SIGABRT: i32 = rustix::process::Signal::ABORT.as_raw();

#[test]
fn nothing_that_a_client_sends_breaks_a_line_of_the_log() {
    let mut server = serve(&[]);
    for odd in
        ["\x1b[31mcrimson", "a\r\nb", "a\0b", "{\"level\": \"ERROR\"}", "\u{7f}", "\u{2028}é"]
    {
        let paths = [format!("/{odd}"), format!("/v1/models/{odd}"), format!("/embed?{odd}")];
        for path in paths {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {odd}\r\nconnection: close\r\n\r\n");
            let _ = read(send(&server, request));
        }
        let headers = format!("x-request-id: {odd}\r\nuser-agent: {odd}\r\n");
        let _ = read(send(&server, post("/embed", &headers, odd.as_bytes())));
    }
    assert_eq!(health(&server), 200);
    assert!(server.stop().expect("the server ends").success());
    let text = server.log().text();
    assert!(text.lines().count() > 5, "{text}");
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].is_string(), "{line}");
    }
    assert!(!text.contains("crimson") && !text.contains("user-agent"), "{text}");
}

#[test]
fn no_path_leads_elsewhere() {
    let server = serve(&[]);
    for path in [
        "/health/../embed",
        "/../etc/passwd",
        "/%2e%2e/embed",
        "/..%2fembed",
        "//evil.com",
        "//evil.com/health",
        "/\\evil.com",
        "/health%00",
        "/health;x",
        "/.//health",
        "/v1/models/<script>alert(1)</script>",
        "/v1/models/..%2f..%2fetc%2fpasswd",
    ] {
        let (response, _) = ask(&server, get(path));
        assert!([400, 404, 405].contains(&response.status), "{path}: {}", response.head);
        let head = response.head.to_lowercase();
        assert!(!head.contains("\r\nlocation:"), "{path}: {head}");
        assert!(!String::from_utf8_lossy(&response.body).contains("<script>"), "{path}");
    }
}

#[test]
fn the_number_of_metrics_does_not_depend_on_requests() {
    let server = serve(&[]);
    let lines =
        || ask(&server, get("/metrics")).0.body.iter().filter(|&&byte| byte == b'\n').count();
    for method in ["GET", "BREW", "X1", "X2"] {
        for path in ["/health", "/none", "/v1/models/a"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            ask(&server, request.into_bytes());
        }
    }
    let before = lines();
    for number in 0..100 {
        for path in [
            format!("/none{number}"),
            format!("/v1/models/m{number}"),
            format!("/health?x={number}"),
        ] {
            let request =
                format!("M{number} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            ask(&server, request.into_bytes());
            ask(&server, get(&path));
        }
    }
    let after = lines();
    // The buckets of one route and status more or less.
    assert!(after <= before + 20, "{before} lines, then {after}");
}

#[test]
fn a_body_that_decompresses_to_much_more_is_refused_early() {
    let server = serve(&[]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..100 {
        encoder.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let body = encoder.finish().unwrap();
    let (response, took) = ask(&server, post("/embed", "content-encoding: gzip\r\n", &body));
    assert_eq!((response.status, response.code().as_str()), (413, "http.body_too_large"));
    println!("100 MB in {} bytes: {took:.1?}", body.len());
    assert_eq!(metric(&server, "semblance_buffered_bytes"), 0.0);
}

#[test]
fn too_little_memory_at_the_start_is_an_error_and_not_a_hang() {
    let mut with_code = 0;
    for limit_mb in [300, 200, 120, 80, 60] {
        let script = format!("ulimit -v {} && exec \"$@\"", limit_mb * 1024);
        let mut command = Command::new("sh");
        command.args(["-ec", &script, "sh", env!("CARGO_BIN_EXE_semblance"), "score", "a", "b"]);
        command.env("SEMBLANCE_BUNDLE", bundle()).env("SEMBLANCE_ORT_LIBRARY", library());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{limit_mb} MB: {} {error:.150}", output.status);
        // If the memory ends in a small allocation, Rust's allocator or the C library ends the process.
        let is_explained = match (output.status.code(), output.status.signal()) {
            (Some(0), _) => true,
            (Some(1), _) => {
                with_code += 1;
                error.contains("error: ")
            }
            (None, Some(SIGABRT)) => error.contains("memory allocation of"),
            (Some(127), _) => error.contains("cannot allocate memory"),
            _ => false,
        };
        assert!(is_explained, "{limit_mb} MB: {} {error}", output.status);
    }
    assert!(with_code >= 2, "{with_code} of the limits have an error with a code");
}
