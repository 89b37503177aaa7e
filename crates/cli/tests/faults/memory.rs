//! Requests that want memory, under a limit of 512 MB.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use semblance_test_support::{Server, cross_encoder_bundle};
use serde_json::json;

use crate::raw::*;

/// Private memory of the server in KiB, mapped files excluded.
const LIMIT: &str = "ulimit -d 524288";

const GZIP: &str = "content-encoding: gzip\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn limited() -> Server {
    Server::start(command(LIMIT, &["--threads", "2"])).unwrap()
}

/// Sends requests at once while another client checks the health; returns the statuses, and the longest
/// time of a health check.
fn attack(server: &Server, requests: Vec<Vec<u8>>) -> (Vec<u16>, Duration) {
    let streams: Vec<TcpStream> = requests.iter().map(|request| send(server, request)).collect();
    thread::scope(|scope| {
        let readers: Vec<_> = streams
            .into_iter()
            .map(|stream| scope.spawn(|| read(stream).map_or(0, |response| response.status)))
            .collect();
        let mut longest = Duration::ZERO;
        while !readers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let started = Instant::now();
            assert_eq!(health(server), 200);
            longest = longest.max(started.elapsed());
        }
        (readers.into_iter().map(|reader| reader.join().unwrap()).collect(), longest)
    })
}

/// Checks that the server works.
fn assert_alive(server: &Server) {
    assert_eq!(ask(server, small()).0.status, 200);
    assert_eq!(metric(server, "semblance_in_flight"), 0.0);
    wait_until("memory is given back", || metric(server, "semblance_buffered_bytes") == 0.0);
}

#[test]
fn tokens_without_end_are_refused() {
    let server = limited();
    for text in ["!".repeat(65_500), "a ".repeat(32_000)] {
        let body = gzip(json!({"inputs": vec![text; 120]}).to_string().as_bytes());
        assert!(body.len() < 30_000);
        let (statuses, health) = attack(&server, vec![post("/tokenize", GZIP, &body); 8]);
        println!("tokenize, 8 requests of {} bytes: health {health:.0?}", body.len());
        assert!(statuses.iter().all(|status| [413, 429].contains(status)), "{statuses:?}");
    }
    assert_alive(&server);
}

#[test]
fn bodies_that_never_end_hold_what_was_sent() {
    let server = limited();
    let body = gzip(&vec![b' '; 8_000_000]);
    let mut request = post("/embed", GZIP, &body);
    request.truncate(request.len() - 20);
    let stalled: Vec<_> = (0..200).map(|_| send(&server, &request)).collect();
    wait_until("they are admitted", || metric(&server, "semblance_in_flight") == 200.0);
    assert!(metric(&server, "semblance_buffered_bytes") < 1e6);
    assert_eq!(health(&server), 200);
    assert_eq!(ask(&server, small()).0.status, 200);
    drop(stalled);
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    assert_alive(&server);
}

#[test]
fn json_that_needs_memory_is_refused_and_health_is_answered() {
    let server = limited();
    for (name, item, count) in [
        ("arrays", "[],", 2_600_000),
        ("objects", "{\"\":0},", 1_000_000),
        ("numbers", "0,", 4_000_000),
        ("strings", "\"\",", 2_600_000),
    ] {
        let items = format!("[{}0]", item.repeat(count));
        for (place, document) in [
            ("whole", items.clone()),
            ("read", format!("{{\"inputs\": {items}}}")),
            ("ignored", format!("{{\"x\": {items}, \"inputs\": \"a\"}}")),
        ] {
            let body = gzip(document.as_bytes());
            let (statuses, health) = attack(&server, vec![post("/embed", GZIP, &body); 16]);
            println!("JSON of {name}, {place}, 16 times {} bytes: health {health:.0?}", body.len());
            let expected: &[u16] = match place {
                "ignored" => &[200, 429],
                _ => &[413, 422, 429],
            };
            assert!(
                statuses.iter().all(|status| expected.contains(status)),
                "{name}, {place}: {statuses:?}"
            );
        }
    }
    assert_alive(&server);
}

#[test]
fn large_bodies_are_admitted_within_the_budget() {
    let arguments = ["--threads", "2", "--max-buffered-bytes", "50000000"];
    let server = Server::start(command(LIMIT, &arguments)).unwrap();
    // 8 MB after decompression, in texts of which most is truncated.
    let texts = vec!["word ".repeat(12_000); 130];
    let body = gzip(json!({"inputs": texts, "truncate": true}).to_string().as_bytes());
    let (statuses, _) = attack(&server, vec![post("/embed", GZIP, &body); 40]);
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert_alive(&server);
}

#[test]
fn a_pair_of_long_texts_fits_into_the_memory() {
    let cross_encoder = cross_encoder_bundle("cross").display().to_string();
    let arguments = ["--threads", "2", "--cross-encoder", &cross_encoder];
    let server = Server::start(command(LIMIT, &arguments)).unwrap();
    let (first, second) = ("!".repeat(65_500), "?".repeat(65_500));
    let pairs = json!({"inputs": [[&first, &second]], "truncate": true}).to_string();
    let texts = json!({"query": first, "texts": [second], "truncate": true}).to_string();
    for request in [post("/predict", "", pairs.as_bytes()), post("/rerank", "", texts.as_bytes())] {
        let (statuses, health) = attack(&server, vec![request; 4]);
        println!("4 pairs of two long texts: health {health:.0?}");
        assert_eq!(statuses, [200; 4]);
    }
    assert_alive(&server);
}
