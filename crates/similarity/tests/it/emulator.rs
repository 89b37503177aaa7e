//! The function under the Lambda emulator, `cargo lambda watch`: every invalid event has its code,
//! and the next valid event is answered.

use std::time::Duration;

use semblance_test_support::{Emulator, repository};
use serde_json::{Value, json};

/// How long an invocation may take. The first one starts the function, and may compile it.
const INVOCATION: Duration = Duration::from_secs(300);

/// Invokes the function; returns the status and the answer.
fn invoke(emulator: &Emulator, event: &[u8]) -> (u16, Value) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(INVOCATION))
        .build();
    let mut response = ureq::Agent::from(config).post(emulator.invoke_url()).send(event).unwrap();
    let body = response.body_mut().read_to_string().unwrap();
    let json = serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {body}"));
    (response.status().as_u16(), json)
}

/// Name, event and code of every bad event tried.
fn bad_events() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let list =
        |query: Value, texts: Value| json!({"query_from_app": query, "actual_queries": texts});
    let with = |field: &str, value: Value| {
        let mut event = list(json!("a"), json!(["b"]));
        event[field] = value;
        event
    };
    let whole = |query: Value, candidates: Value| {
        let mut event = list(query, candidates);
        event["truncate"] = json!(false);
        event
    };
    let too_long = "x".repeat(65_537);
    let long = "cat ".repeat(300);
    let deep = format!("{{\"query_from_app\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let json_events = [
        ("event is null", json!(null), "request.not_an_object"),
        ("event is a number", json!(7), "request.not_an_object"),
        ("event is a boolean", json!(true), "request.not_an_object"),
        ("event is a string", json!("hello"), "request.not_an_object"),
        ("no field", json!({}), "request.unknown_event"),
        ("no query", json!({"actual_queries": ["b"]}), "request.missing_field"),
        ("no candidates", json!({"query_from_app": "a"}), "request.missing_field"),
        ("fields in other case", json!({"Query_From_App": "a"}), "request.unknown_event"),
        ("query is null", list(json!(null), json!([])), "request.wrong_type"),
        ("query is a number", list(json!(1), json!([])), "request.wrong_type"),
        ("query is a boolean", list(json!(false), json!([])), "request.wrong_type"),
        ("query is an array", list(json!(["a"]), json!([])), "request.wrong_type"),
        ("query is an object", list(json!({"a": 1}), json!([])), "request.wrong_type"),
        ("candidates are null", list(json!("a"), json!(null)), "request.wrong_type"),
        ("candidates are a string", list(json!("a"), json!("b")), "request.wrong_type"),
        ("candidates are a number", list(json!("a"), json!(2)), "request.wrong_type"),
        ("candidates are an object", list(json!("a"), json!({"0": "b"})), "request.wrong_type"),
        ("a candidate is null", list(json!("a"), json!(["b", null])), "request.wrong_type"),
        ("a candidate is a number", list(json!("a"), json!([1])), "request.wrong_type"),
        ("a candidate is an array", list(json!("a"), json!([["b"]])), "request.wrong_type"),
        ("a candidate is an object", list(json!("a"), json!([{"t": "b"}])), "request.wrong_type"),
        ("query is empty", list(json!(""), json!([])), "request.empty_text"),
        ("query is spaces", list(json!("   "), json!([])), "request.empty_text"),
        ("query is tabs and lines", list(json!("\t\r\n"), json!([])), "request.empty_text"),
        ("query is no-break space", list(json!("\u{a0}"), json!([])), "request.empty_text"),
        ("a candidate is empty", list(json!("a"), json!(["b", ""])), "request.empty_text"),
        ("a candidate is em spaces", list(json!("a"), json!(["\u{2003}"])), "request.empty_text"),
        ("query is a NUL", list(json!("\u{0}"), json!([])), "request.empty_text"),
        ("a candidate is a NUL", list(json!("a"), json!(["\u{0}"])), "request.empty_text"),
        ("a zero-width candidate", list(json!("a"), json!(["\u{200b}"])), "request.empty_text"),
        ("query is too long", whole(json!(too_long), json!([])), "request.text_too_long"),
        ("a candidate is too long", whole(json!("a"), json!([too_long])), "request.text_too_long"),
        (
            "long in bytes only",
            whole(json!("ä".repeat(33_000)), json!([])),
            "request.text_too_long",
        ),
        ("1,001 candidates", list(json!("a"), json!(vec!["b"; 1_001])), "request.too_many_texts"),
        (
            "100,000 candidates",
            list(json!("a"), json!(vec!["b"; 100_000])),
            "request.too_many_texts",
        ),
        ("top_k is 0", with("top_k", json!(0)), "request.out_of_range"),
        ("top_k is negative", with("top_k", json!(-1)), "request.out_of_range"),
        ("top_k is a fraction", with("top_k", json!(1.5)), "request.out_of_range"),
        ("top_k is a string", with("top_k", json!("3")), "request.wrong_type"),
        ("top_k is an array", with("top_k", json!([3])), "request.wrong_type"),
        ("truncate is a number", with("truncate", json!(0)), "request.wrong_type"),
        ("truncate is a string", with("truncate", json!("false")), "request.wrong_type"),
        (
            "query must not be truncated",
            json!({"query_from_app": long, "actual_queries": ["b"], "truncate": false}),
            "request.too_many_tokens",
        ),
        (
            "a candidate must not be truncated",
            json!({"query_from_app": "a", "actual_queries": ["b", long], "truncate": false}),
            "request.too_many_tokens",
        ),
    ];
    let bytes_events: [(&str, Vec<u8>, &str); 11] = [
        ("empty body", b"".to_vec(), "request.invalid_json"),
        ("white space body", b" \n".to_vec(), "request.invalid_json"),
        ("plain text", b"hello".to_vec(), "request.invalid_json"),
        ("truncated", b"{\"query_from_app\": \"a".to_vec(), "request.invalid_json"),
        ("trailing comma", b"{\"query_from_app\": \"a\",}".to_vec(), "request.invalid_json"),
        ("single quotes", b"{'query_from_app': 'a'}".to_vec(), "request.invalid_json"),
        ("two documents", b"{} {}".to_vec(), "request.invalid_json"),
        ("not UTF-8", b"{\"query_from_app\": \"\xff\"}".to_vec(), "request.invalid_json"),
        (
            "raw control character",
            b"{\"query_from_app\": \"a\x01\"}".to_vec(),
            "request.invalid_json",
        ),
        (
            "lone surrogate",
            br#"{"query_from_app": "\ud800", "actual_queries": []}"#.to_vec(),
            "request.empty_text",
        ),
        ("nested 200 deep", deep.into_bytes(), "request.invalid_json"),
    ];
    json_events
        .into_iter()
        .map(|(name, event, code)| (name, event.to_string().into_bytes(), code))
        .chain(bytes_events)
        .collect()
}

#[test]
fn every_bad_event_has_its_code_and_breaks_nothing() {
    let emulator = Emulator::start(&[("SEMBLANCE_MAX_TEXTS", "1000")]).unwrap();
    let good = std::fs::read(repository("tests/events/london.json")).unwrap();
    let (status, expected) = invoke(&emulator, &good);
    assert_eq!(status, 200, "{expected}");
    assert_eq!(expected["Scores"][0][0], "Around 9 Million people live in London");
    let score = expected["Scores"][0][1].as_f64().unwrap();
    assert!((score - 0.882_352).abs() <= 1e-5, "{score}");

    let bad_events = bad_events();
    assert!(bad_events.len() >= 40);
    let mut wrong = Vec::new();
    for (name, event, code) in &bad_events {
        let (status, answer) = invoke(&emulator, event);
        println!("{name:34} {} {}", answer["errorType"], answer["errorMessage"]);
        if (status, &answer["errorType"]) != (500, &json!(code)) {
            wrong.push(format!("{name}: expected {code}, found {status} {answer}"));
        }
        let next = invoke(&emulator, &good);
        if next != (200, expected.clone()) {
            wrong.push(format!("the next valid event after {name}: {next:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);

    let log = emulator.stop();
    assert_eq!(log.with_message("started").len(), 1, "the function survived every event");
    assert_eq!(log.with_message("event refused").len(), bad_events.len());
    let answered = log.with_message("event answered");
    assert_eq!(answered.len(), bad_events.len() + 1);
    assert_eq!(answered[0]["cold_start"], true);
    assert!(answered[1..].iter().all(|line| line["cold_start"] == false));
    assert!(!log.text().contains("London"), "the log contains no text of a user");
}
