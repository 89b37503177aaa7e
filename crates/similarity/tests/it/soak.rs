//! A soak: many mixed events through the function. Every answer is right, and memory stays flat.
//!
//! `SEMBLANCE_SOAK_EVENTS` is the number of events; `make soak` sends 100,000.

use std::fs;
use std::process::Stdio;

use semblance_test_support::{Function, Kind, RuntimeApi, bundle, library};
use serde_json::{Value, json};

use crate::http_event::{FORMS, JSON};

/// Number of events in an ordinary test run.
const EVENTS: usize = 5_000;

/// Memory that the second half of the events may add, in kB.
const GROWTH_KB: u64 = 1_024;

fn events() -> Vec<Value> {
    let request =
        json!({"query_from_app": "London", "actual_queries": ["Paris", "a city", "London"]});
    let text = request.to_string();
    let mut events = vec![
        request.clone(),
        json!({"operation": "embed", "inputs": ["one", "two"]}),
        json!({"operation": "tokenize", "inputs": "How many people live in London?"}),
        json!({"operation": "info"}),
        json!({"query": "London", "texts": ["Paris", "London"]}),
        json!({"query_from_app": "", "actual_queries": []}),
        json!({"query_from_app": 1}),
        json!({}),
        json!([request, 7, {"inputs": "one"}]),
        json!({"Records": [
            {"eventSource": "aws:sqs", "messageId": "1", "body": text},
            {"eventSource": "aws:sqs", "messageId": "2", "body": "{"},
        ]}),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]}),
        json!({"detail-type": "t", "source": "my.app", "detail": request}),
        json!({"warmer": true}),
        json!({"query_from_app": "long ".repeat(1_000), "actual_queries": ["x ".repeat(2_000)]}),
    ];
    for form in FORMS {
        events.push(form.event("POST", "/embed", &[JSON], br#"{"inputs": "one"}"#));
        events.push(form.event("POST", "/v1/embeddings", &[JSON], br#"{"input": ["one", "two"]}"#));
        events.push(form.event("POST", "/embed", &[JSON], b"{"));
        events.push(form.event("GET", "/openapi.json", &[("accept-encoding", "gzip")], b""));
        events.push(form.event("GET", "/nothing", &[], b""));
    }
    events
}

/// Removes what differs from answer to answer: the headers with times and the request id.
fn stable(mut answer: Value) -> Value {
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("headers");
        answer.remove("multiValueHeaders");
    }
    answer
}

/// Anonymous resident memory of a process, in kB.
fn anonymous_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_stays_flat_and_every_answer_is_right() {
    let count = std::env::var("SEMBLANCE_SOAK_EVENTS").ok();
    let count = count.map_or(EVENTS, |count| count.parse().unwrap());
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command
        .env("SEMBLANCE_BUNDLE", bundle())
        // Full before the second half: an embedding takes about 1.7 kB, and one of 30 events adds one.
        .env("SEMBLANCE_CACHE_BYTES", "100000")
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .stdout(Stdio::null());
    let mut function = Function::start(RuntimeApi::start().unwrap(), command).unwrap();
    let pid = function.process().id();
    let events: Vec<Vec<u8>> =
        events().iter().map(|event| event.to_string().into_bytes()).collect();
    let invoke = |event: &[u8]| {
        let (kind, answer) = function.invoke(event);
        (kind, stable(answer))
    };
    let expected: Vec<(Kind, Value)> = events.iter().map(|event| invoke(event)).collect();
    let mut samples = Vec::new();
    let mut wrong = 0;
    for number in 0..count {
        if number % (count / 20).max(1) == 0 {
            samples.push((number, anonymous_kb(pid)));
        }
        let index = number % events.len();
        if index == 0 {
            // A text that is not in the cache.
            let event = json!({"operation": "embed", "inputs": format!("text {number}")});
            let (kind, answer) = function.invoke(event.to_string().as_bytes());
            wrong +=
                usize::from(kind != Kind::Response || answer[0].as_array().unwrap().len() != 384);
        }
        wrong += usize::from(invoke(&events[index]) != expected[index]);
    }
    samples.push((count, anonymous_kb(pid)));
    let middle = samples[samples.len() / 2];
    let (end, last) = *samples.last().unwrap();
    let slope = (last as f64 - middle.1 as f64) * 1024.0 / (end - middle.0).max(1) as f64;
    println!("{count} events, {wrong} wrong; RssAnon in kB after events: {samples:?}");
    println!("slope of the second half: {slope:.1} bytes an event");
    assert_eq!(wrong, 0);
    assert!(last <= middle.1 + GROWTH_KB, "from {} kB to {last} kB", middle.1);
}
