//! Clients that leave, and small requests next to large ones.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::raw::*;

#[test]
fn requests_of_clients_that_left_are_canceled_logged_and_counted() {
    let mut server = serve(&["--threads", "2"]);
    let clients: Vec<_> = (0..12).map(|_| send(&server, endless())).collect();
    wait_until("they run", || metric(&server, "semblance_in_flight") == 12.0);
    drop(clients);
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    let counter = "semblance_requests_total{route=\"/embed\",status=\"499\"}";
    assert_eq!(metric(&server, counter), 12.0);
    assert_eq!(ask(&server, small()).0.status, 200);
    assert!(server.stop().expect("the server ends").success());
    let lines = server.log().with_message("event refused");
    assert_eq!(lines.len(), 12);
    for line in lines {
        assert_eq!((&line["status"], &line["code"]), (&json!(499), &json!("request.canceled")));
        assert_eq!(line["request_id"].as_str().unwrap().len(), 36);
    }
}

/// Returns the percentile of durations.
fn percentile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort_unstable();
    durations[(durations.len() * percent / 100).min(durations.len() - 1)]
}

#[test]
fn small_requests_are_answered_next_to_ten_large_ones() {
    let server = serve(&["--threads", "2"]);
    let large: Vec<_> =
        (0..10).map(|_| send(&server, post("/embed", "", &texts(1_000, 260)))).collect();
    wait_until("they run", || metric(&server, "semblance_in_flight") == 10.0);
    let query = json!({"query": "a question", "texts": ["one candidate", "another candidate"]});
    let query = query.to_string();
    let mut one: Vec<Duration> = Vec::new();
    let mut two: Vec<Duration> = Vec::new();
    for _ in 0..20 {
        let (response, took) = ask(&server, small());
        assert_eq!(response.status, 200);
        one.push(took);
        let (response, took) = ask(&server, post("/rerank", "", query.as_bytes()));
        assert_eq!(response.status, 200);
        two.push(took);
    }
    assert_eq!(metric(&server, "semblance_in_flight"), 10.0, "the large ones still run");
    for (name, times) in [("one text", &mut one), ("query and two candidates", &mut two)] {
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
        println!("next to ten requests of 1,000 texts, {name}: p50 {p50:.0?}, p99 {p99:.0?}");
        // The large requests take minutes.
        assert!(p50 < Duration::from_secs(10), "{name}: {p50:?}");
    }
    drop(large);
}

#[test]
fn without_a_cache_a_repeated_text_takes_as_long_as_a_new_one() {
    // The servers of these tests have no cache.
    let server = serve(&[]);
    let ask_for = |text: String| {
        let body = json!({"inputs": format!("{text}{}", " word".repeat(60))}).to_string();
        let (response, took) = ask(&server, post("/embed", "", body.as_bytes()));
        assert_eq!(response.status, 200);
        took
    };
    ask_for("secret".to_owned());
    // Alternating, so that the load of the machine is the same for both.
    let (mut repeated, mut new): (Vec<Duration>, Vec<Duration>) = (0..40)
        .map(|number| (ask_for("secret".to_owned()), ask_for(format!("text {number}"))))
        .unzip();
    let (repeated, new) = (percentile(&mut repeated, 50), percentile(&mut new, 50));
    println!("median time: {repeated:.1?} of a repeated text, {new:.1?} of a new one");
    // With a cache, a repeated text does not use the model, which takes most of the time.
    assert!(repeated > new / 2, "{repeated:?} of {new:?}");
}

#[test]
fn an_abandoned_body_does_not_count_as_a_request_in_progress() {
    let server = serve(&[]);
    let mut request = post("/embed", "", &[b' '; 1_000]);
    request.truncate(request.len() - 500);
    let streams: Vec<_> = (0..5).map(|_| send(&server, &request)).collect();
    wait_until("they are admitted", || metric(&server, "semblance_in_flight") == 5.0);
    drop(streams);
    let started = Instant::now();
    wait_until("they end", || metric(&server, "semblance_in_flight") == 0.0);
    assert!(started.elapsed() < Duration::from_secs(20), "before the time limit of the body");
}

#[test]
fn many_requests_at_once_are_answered_or_refused() {
    let server = serve(&["--max-concurrent-requests", "16"]);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || ask(&server, small()).0.status;
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|&&status| status == 200).count() >= 16);
    assert_eq!(metric(&server, "semblance_in_flight"), 0.0);
}
