//! The log line of an event, for each source and each outcome.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_json_snapshot;
use lambda_runtime::Context;
use semblance_api::http::HttpOptions;
use semblance_api::{Admission, AdmissionLimits, Limits};
use semblance_similarity::Handler;
use semblance_test_support::{PanicsOn, Slow, fake_service};
use serde_json::{Value, json};

use crate::captured::captured;
use crate::http_event::{FORMS, JSON};

/// Returns a handler whose model panics on the token of "cat".
fn handler() -> Handler {
    let service = Arc::new(fake_service(PanicsOn(4937), 16, Limits::default()));
    Handler::new(Admission::inline(service), HttpOptions::default())
}

/// Returns a handler for several events at a time that has no time for any of them.
fn impatient_handler() -> Handler {
    let model = Slow(Duration::from_secs(1));
    let service = Arc::new(fake_service(model, 16, Limits::default()));
    let admitted = NonZeroUsize::new(64).unwrap();
    let limits =
        AdmissionLimits { admitted, buffered_bytes: 1 << 20, timeout: Duration::from_millis(300) };
    Handler::new(Admission::queued(service, limits), HttpOptions::default())
}

/// Handles an event; returns the lines about it, without times and sizes.
fn lines(handler: &Handler, event: &Value) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut context = Context::default();
    context.request_id = "request-1".into();
    let event = event.to_string();
    let handle = || drop(runtime.block_on(handler.handle(event.as_bytes(), context)));
    let (_, mut lines) = captured(handle);
    for line in &mut lines {
        for (name, value) in line.as_object_mut().unwrap() {
            if name == "timestamp" || name.ends_with("_ms") {
                *value = json!("[time]");
            }
            // It has the times in the headers of an HTTP response.
            if name == "response_bytes" {
                *value = json!("[bytes]");
            }
        }
    }
    lines
}

/// A direct event that embeds a text.
fn embed(text: &str) -> Value {
    json!({"operation": "embed", "inputs": text})
}

/// The events that embed a text from each source: direct, SQS, and HTTP in every form on two
/// routes. The texts differ, so that none is in the cache.
fn embeds_through_every_door(text: &str) -> Vec<Value> {
    let mut numbers = 1..;
    let mut next = || format!("{text} {}", numbers.next().unwrap());
    let mut events = vec![embed(&next()), queue(&embed(&next()))];
    for (path, field) in [("/embed", "inputs"), ("/v1/embeddings", "input")] {
        for form in FORMS {
            let body = json!({field: next()}).to_string();
            events.push(form.event("POST", path, &[JSON], body.as_bytes()));
        }
    }
    events
}

/// A queue with one direct event.
fn queue(event: &Value) -> Value {
    json!({"Records": [
        {"messageId": "message-1", "eventSource": "aws:sqs", "body": event.to_string()},
    ]})
}

#[test]
fn an_answered_event_is_logged_with_its_cost() {
    assert_json_snapshot!(lines(&handler(), &embed("dog")), @r#"
    [
      {
        "cache_hits": 0,
        "cold_start": true,
        "door": "direct",
        "infer_ms": "[time]",
        "level": "INFO",
        "message": "event answered",
        "operation": "embed",
        "outcome": "ok",
        "padded_tokens": 3,
        "queue_ms": "[time]",
        "request_id": "request-1",
        "response_bytes": "[bytes]",
        "target": "semblance",
        "texts": 1,
        "timestamp": "[time]",
        "tokenise_ms": "[time]",
        "tokenize_ms": "[time]",
        "tokens": 3,
        "total_ms": "[time]",
        "truncated": 0,
        "unique_texts": 1
      }
    ]
    "#);
}

#[test]
fn an_http_event_is_logged_with_its_route() {
    assert_json_snapshot!(lines(&handler(), &embeds_through_every_door("dog")[2]), @r#"
    [
      {
        "cache_hits": 0,
        "cold_start": true,
        "door": "http",
        "infer_ms": "[time]",
        "level": "INFO",
        "message": "event answered",
        "method": "POST",
        "operation": "embed",
        "outcome": "ok",
        "padded_tokens": 4,
        "queue_ms": "[time]",
        "request_id": "request-1",
        "response_bytes": "[bytes]",
        "route": "/embed",
        "status": 200,
        "target": "semblance",
        "texts": 1,
        "timestamp": "[time]",
        "tokenise_ms": "[time]",
        "tokenize_ms": "[time]",
        "tokens": 4,
        "total_ms": "[time]",
        "truncated": 0,
        "unique_texts": 1
      }
    ]
    "#);
}

#[test]
fn a_refused_event_is_logged_at_warn() {
    let event = json!({"query_from_app": "", "actual_queries": []});
    assert_json_snapshot!(lines(&handler(), &event), @r#"
    [
      {
        "code": "request.empty_text",
        "cold_start": true,
        "door": "direct",
        "error": "the text query_from_app is empty: it has no tokens",
        "level": "WARN",
        "message": "event refused",
        "operation": "similarity",
        "outcome": "refused",
        "request_id": "request-1",
        "target": "semblance",
        "timestamp": "[time]",
        "total_ms": "[time]"
      }
    ]
    "#);
}

/// Embeds a text from every source; returns the main fields of each line.
fn logged_through_every_door(handler: &Handler, text: &str) -> Vec<String> {
    let events = embeds_through_every_door(text);
    let lines = events.iter().flat_map(|event| lines(handler, event));
    let fields = ["level", "message", "door", "outcome", "operation", "route", "status", "code"];
    let found = lines.map(|line| {
        let values = fields.map(|field| match &line[field] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        values.join(" ")
    });
    found.collect()
}

#[test]
fn a_timeout_is_logged_at_warn_on_every_door() {
    let found = logged_through_every_door(&impatient_handler(), "dog");
    let expected = [
        "WARN event refused direct refused embed - - http.timed_out",
        "WARN record failed - refused embed - - http.timed_out",
        "INFO event answered sqs ok - - - -",
        "WARN event refused http refused embed /embed 503 http.timed_out",
        "WARN event refused http refused embed /embed 503 http.timed_out",
        "WARN event refused http refused embed /embed 503 http.timed_out",
        "WARN event refused http refused embed /v1/embeddings 503 http.timed_out",
        "WARN event refused http refused embed /v1/embeddings 503 http.timed_out",
        "WARN event refused http refused embed /v1/embeddings 503 http.timed_out",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_panic_is_logged_at_error_on_every_door() {
    let found = logged_through_every_door(&handler(), "cat");
    let expected = [
        "ERROR event failed direct fault embed - - internal.panic",
        "ERROR record failed - fault embed - - internal.panic",
        "INFO event answered sqs ok - - - -",
        "ERROR event failed http fault embed /embed 500 internal.panic",
        "ERROR event failed http fault embed /embed 500 internal.panic",
        "ERROR event failed http fault embed /embed 500 internal.panic",
        "ERROR event failed http fault embed /v1/embeddings 500 internal.panic",
        "ERROR event failed http fault embed /v1/embeddings 500 internal.panic",
        "ERROR event failed http fault embed /v1/embeddings 500 internal.panic",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_failed_record_is_logged_with_its_message_id() {
    assert_json_snapshot!(lines(&handler(), &queue(&json!({"text": "a"}))), @r#"
    [
      {
        "code": "request.unknown_event",
        "error": "unrecognized request: expected {\"query_from_app\", \"actual_queries\"}, {\"operation\", …} or the body of a route",
        "level": "WARN",
        "message": "record failed",
        "message_id": "message-1",
        "outcome": "refused",
        "request_id": "request-1",
        "target": "semblance",
        "timestamp": "[time]"
      },
      {
        "cache_hits": 0,
        "cold_start": true,
        "door": "sqs",
        "failed": 1,
        "infer_ms": "[time]",
        "level": "INFO",
        "message": "event answered",
        "outcome": "ok",
        "padded_tokens": 0,
        "queue_ms": "[time]",
        "request_id": "request-1",
        "response_bytes": "[bytes]",
        "target": "semblance",
        "texts": 0,
        "timestamp": "[time]",
        "tokenise_ms": "[time]",
        "tokenize_ms": "[time]",
        "tokens": 0,
        "total_ms": "[time]",
        "truncated": 0,
        "unique_texts": 0
      }
    ]
    "#);
}
