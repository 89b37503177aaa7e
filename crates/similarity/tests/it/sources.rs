//! Requests in the events of other services: SQS, SNS, EventBridge, Pipes, and tools that keep functions
//! warm.

use std::sync::Arc;

use lambda_runtime::Context;
use semblance_api::http::HttpOptions;
use semblance_api::{Admission, Limits};
use semblance_similarity::{Handler, ReplyLimit};
use semblance_test_support::{PanicsOn, fake_service};
use serde_json::{Value, json};

/// Returns a handler whose model panics on the token of "cat".
fn handler() -> Handler {
    let service = fake_service(PanicsOn(4937), 16, Limits::default());
    Handler::new(Admission::inline(Arc::new(service)), HttpOptions::default())
}

fn answer(handler: &Handler, event: &Value) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let event = event.to_string();
    let response = runtime.block_on(handler.handle(event.as_bytes(), Context::default()));
    let response = response.map_err(|error| error.0.code().name.to_owned())?;
    Ok(serde_json::from_str(response.get()).unwrap())
}

/// A request, and what the function answers to it.
fn request() -> (Value, Value) {
    let request = json!({"query_from_app": "dog", "actual_queries": ["dog"]});
    let expected = answer(&handler(), &request).unwrap();
    assert_eq!(expected["Scores"][0][0], "dog");
    (request, expected)
}

fn sqs(id: &str, body: &Value) -> Value {
    json!({"messageId": id, "eventSource": "aws:sqs", "body": body, "attributes": {}})
}

fn sns(message: &Value) -> Value {
    json!({"EventSource": "aws:sns", "EventVersion": "1.0",
           "Sns": {"Type": "Notification", "MessageId": "1", "Message": message.to_string()}})
}

fn notification(message: &Value) -> String {
    json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:1:t",
           "Message": message.to_string()})
    .to_string()
}

fn bus(source: &str, detail: &Value) -> Value {
    json!({"version": "0", "id": "1", "detail-type": "request", "source": source, "region": "r",
           "account": "1", "time": "2026-01-01T00:00:00Z", "resources": [], "detail": detail})
}

#[test]
fn one_bad_record_does_not_fail_the_others() {
    let (request, _) = request();
    let good = json!(request.to_string());
    let without_body = json!({"messageId": "no-body", "eventSource": "aws:sqs"});
    let other = json!({"messageId": "other", "eventSource": "aws:s3", "s3": {}, "body": good});
    let without_id = json!({"eventSource": "aws:sqs", "body": good});
    let records = json!({"Records": [other, sqs("good", &good), without_body, 7, null, without_id,
                                     sqs("text", &json!(4)), sqs("list", &json!("[1]"))]});
    let ids = ["other", "no-body", "text", "list"].map(|id| json!({"itemIdentifier": id}));
    assert_eq!(answer(&handler(), &records), Ok(json!({"batchItemFailures": ids})));
}

#[test]
fn a_notification_in_a_queue_is_unwrapped() {
    let (request, _) = request();
    let bad = json!({"query_from_app": 1, "actual_queries": []});
    let records = json!({"Records": [
        sqs("raw", &json!(request.to_string())),
        sqs("wrapped", &json!(notification(&request))),
        sqs("bus", &json!(bus("my.app", &request).to_string())),
        sqs("bus in topic", &json!(notification(&bus("my.app", &request)))),
        sqs("bad", &json!(notification(&bad))),
        sqs("bad bus", &json!(bus("my.app", &bad).to_string())),
    ]});
    let ids = ["bad", "bad bus"].map(|id| json!({"itemIdentifier": id}));
    assert_eq!(answer(&handler(), &records), Ok(json!({"batchItemFailures": ids})));
}

#[test]
fn a_topic_is_answered_with_the_result_of_each_record() {
    let (request, expected) = request();
    let embed = json!({"operation": "embed", "inputs": "dog"});
    let event = json!({"Records": [sns(&request), sns(&embed)]});
    let vectors = answer(&handler(), &embed).unwrap();
    assert_eq!(answer(&handler(), &event), Ok(json!([expected, vectors])));
    assert_eq!(answer(&handler(), &json!({"Records": [sns(&request)]})), Ok(json!([expected])));
    // Lambda repeats the event, and sends it to the queue of failed events.
    let cases = [
        (
            json!({"Records": [sns(&request), sns(&json!({"operation": "x"}))]}),
            "request.unknown_value",
        ),
        (
            json!({"Records": [sns(&json!({"operation": "embed", "inputs": "cat"}))]}),
            "internal.panic",
        ),
        (json!({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}), "request.unknown_event"),
    ];
    for (event, code) in cases {
        assert_eq!(answer(&handler(), &event), Err(code.to_owned()), "{event}");
    }
}

#[test]
fn a_list_is_answered_with_a_list() {
    let (request, expected) = request();
    let text = json!(request.to_string());
    let list = json!([request, text, sqs("1", &text), sqs("2", &request), bus("my.app", &request)]);
    let expected: Vec<Value> = vec![expected; 5];
    assert_eq!(answer(&handler(), &list), Ok(json!(expected)));
    assert_eq!(answer(&handler(), &json!([])), Ok(json!([])));
}

#[test]
fn a_failed_request_of_a_list_has_its_error_in_its_place() {
    let (request, expected) = request();
    let cat = json!({"operation": "embed", "inputs": "cat"});
    let list = json!([request, 7, cat, [request], "{", null, {}, request]);
    let answers = answer(&handler(), &list).unwrap();
    let codes: Vec<_> =
        answers.as_array().unwrap().iter().map(|item| item["errorType"].as_str()).collect();
    let expected_codes = [
        None,
        Some("request.not_an_object"),
        Some("internal.panic"),
        Some("request.not_an_object"),
        Some("request.invalid_json"),
        Some("request.not_an_object"),
        Some("request.unknown_event"),
        None,
    ];
    assert_eq!(codes, expected_codes);
    assert_eq!((&answers[0], &answers[7]), (&expected, &expected));
    assert!(answers[1]["errorMessage"].as_str().unwrap().contains("found a number"), "{answers}");
}

#[test]
fn a_failed_record_of_a_pipe_is_delivered_again() {
    let (request, _) = request();
    let text = json!(request.to_string());
    let list = json!([sqs("1", &text), sqs("2", &json!("{")), sqs("3", &text)]);
    let expected = json!({"batchItemFailures": [{"itemIdentifier": "2"}]});
    assert_eq!(answer(&handler(), &list), Ok(expected));
}

#[test]
fn a_list_that_is_not_json_is_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for event in ["[", "[1,", "[] []", "[{\"a\":}]", " [1 2]"] {
        let error = runtime.block_on(handler().handle(event.as_bytes(), Context::default()));
        assert_eq!(error.unwrap_err().0.code().name, "request.invalid_json", "{event}");
    }
}

#[test]
fn the_results_of_a_list_are_within_the_limit() {
    let handler = handler().with_reply_limit(ReplyLimit::new(1_000));
    let embed = |number: usize| json!({"operation": "embed", "inputs": format!("dog {number}")});
    let list: Vec<Value> = (0..20).map(embed).collect();
    assert_eq!(answer(&handler, &json!(list)), Err("response.too_large".to_owned()));
    let records: Vec<Value> =
        list.iter().map(|request| sqs("1", &json!(request.to_string()))).collect();
    let none = json!({"batchItemFailures": []});
    assert_eq!(answer(&handler, &json!({"Records": records})), Ok(none), "SQS gets no results");
}

#[test]
fn a_request_in_an_event_of_a_bus_is_answered() {
    let (request, expected) = request();
    for source in ["my.app", "aws.events"] {
        assert_eq!(answer(&handler(), &bus(source, &request)), Ok(expected.clone()));
    }
    let bad = json!({"query_from_app": 1, "actual_queries": []});
    assert_eq!(answer(&handler(), &bus("my.app", &bad)), Err("request.wrong_type".to_owned()));
    let inputs = answer(&handler(), &bus("my.app", &json!({"inputs": "dog"}))).unwrap();
    assert_eq!(inputs[0].as_array().unwrap().len(), 16);
    for detail in [json!({}), json!({"state": "running"}), json!(null), json!("text")] {
        let warm = answer(&handler(), &bus("aws.ec2", &detail));
        assert_eq!(warm, Ok(json!({"status": "warm"})), "{detail}");
    }
}

#[test]
fn events_of_warming_tools_are_warm_ups() {
    let events = [
        json!({"source": "serverless-plugin-warmup"}),
        json!({"warmer": true, "concurrency": 3}),
        json!({"warmer": true, "__WARMER_INVOCATION__": 2, "__WARMER_CONCURRENCY__": 3,
               "__WARMER_CORRELATIONID__": "id"}),
        json!({"warmup": true}),
    ];
    for event in events {
        assert_eq!(answer(&handler(), &event), Ok(json!({"status": "warm"})), "{event}");
    }
    for event in [json!({"warmer": false}), json!({"source": "other"}), json!({"warmer": "yes"})] {
        assert_eq!(answer(&handler(), &event), Err("request.unknown_event".to_owned()), "{event}");
    }
}

#[test]
fn a_direct_event_can_be_the_body_of_a_route() {
    let cases = [
        (json!({"inputs": "dog"}), "/0/0"),
        (json!({"inputs": ["dog", "bird"], "truncate": true}), "/1/0"),
        (json!({"inputs": {"source_sentence": "dog", "sentences": ["dog"]}}), "/0"),
        (json!({"input": ["dog"], "model": "any"}), "/data/0/embedding/0"),
        (json!({"query": "dog", "texts": ["dog", "bird"]}), "/0/score"),
        (
            json!({"query": "dog", "documents": ["dog"], "model": "any"}),
            "/results/0/relevance_score",
        ),
    ];
    for (event, pointer) in cases {
        let found = answer(&handler(), &event).unwrap();
        assert!(found.pointer(pointer).is_some_and(Value::is_number), "{event} {found}");
    }
    assert_eq!(answer(&handler(), &json!({"input": 7})), Err("request.wrong_type".to_owned()));
    assert_eq!(
        answer(&handler(), &json!({"inputs": null})),
        Err("request.unknown_event".to_owned())
    );
}
