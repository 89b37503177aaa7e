//! The handler's contract: an event in, a response or an error out, compared whole.

use std::sync::Arc;

use lambda_runtime::Context;
use semblance::api::{Limits, SimilarityRequest};
use semblance::http::{Gate, HttpOptions};
use semblance::lambda::{Handler, HandlerError};
use semblance::service::Service;
use serde_json::{Value, json};

use crate::support::{Constant, OneHot, PanicsOn, Seen, service, service_on};

fn handle(handler: &Handler, event: &[u8]) -> Result<Value, HandlerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(handler.handle(event, Context::default()))?;
    Ok(serde_json::from_str(response.get()).unwrap())
}

fn answer(handler: &Handler, event: &Value) -> Result<Value, String> {
    handle(handler, event.to_string().as_bytes()).map_err(|error| error.code().to_owned())
}

fn handler(service: Service) -> Handler {
    Handler::new(Gate::inline(Arc::new(service)), HttpOptions::default())
}

fn one_hot() -> (Handler, Seen) {
    let model = OneHot::default();
    let seen = model.seen.clone();
    (handler(service_on(model, 16, Limits::default())), seen)
}

#[test]
fn the_best_candidate_comes_first_and_texts_are_echoed_exactly() {
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["  Dog\t", "CAT", "dog"]});
    let response = answer(&handler, &event).unwrap();
    let texts: Vec<&Value> =
        response["Scores"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert_eq!(texts, ["CAT", "  Dog\t", "dog"]);
    assert!((response["Scores"][0][1].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert!(response.get("Truncated").is_none());
}

#[test]
fn duplicates_are_kept_and_ties_stay_in_input_order() {
    let (handler, seen) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["dog", "cat", "dog", "cat"]});
    let response = answer(&handler, &event).unwrap();
    let texts: Vec<&Value> =
        response["Scores"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert_eq!(texts, ["cat", "cat", "dog", "dog"]);
    assert_eq!(*seen.lock().unwrap(), [(2, 3)], "each different text goes through the model once");
}

#[test]
fn a_text_seen_in_an_earlier_event_is_not_embedded_again() {
    let model = OneHot::default();
    let seen = model.seen.clone();
    let service = service_on(model, 16, Limits::default());
    let similarity = |event: Value| {
        let request = SimilarityRequest::decode(event, service.limits()).unwrap();
        service.similarity(&request).unwrap()
    };
    let first = json!({"query_from_app": "cat", "actual_queries": ["dog", "red cat"]});
    let (cold, _) = similarity(first.clone());
    let (warm, usage) = similarity(first);
    assert_eq!(warm, cold, "the same from memory");
    assert_eq!((usage.cache_hits, usage.tokens, usage.prompt_tokens), (3, 0, 10));
    let second = json!({"query_from_app": "bird", "actual_queries": ["dog", "red cat", "cat"]});
    let (_, usage) = similarity(second);
    assert_eq!((usage.unique_texts, usage.cache_hits, usage.tokens), (4, 3, 3));
    assert_eq!(*seen.lock().unwrap(), [(3, 4), (1, 3)]);
}

#[test]
fn what_is_known_of_a_cut_text_is_still_said() {
    let long = "cat ".repeat(300);
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": [long]});
    let cold = answer(&handler, &event).unwrap();
    assert_eq!(answer(&handler, &event).unwrap(), cold);
    let refused = json!({"query_from_app": "dog", "actual_queries": [long], "truncate": false});
    assert_eq!(answer(&handler, &refused), Err("request.too_many_tokens".to_owned()));
}

#[test]
fn no_candidate_gives_no_score_and_asks_nothing_of_the_model() {
    let (handler, seen) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": []});
    assert_eq!(answer(&handler, &event), Ok(json!({"Scores": []})));
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn top_k_gives_the_best() {
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["dog", "cat"], "top_k": 1});
    let scores = answer(&handler, &event).unwrap()["Scores"].clone();
    assert_eq!(scores.as_array().unwrap().len(), 1);
    assert_eq!(scores[0][0], "cat");
}

#[test]
fn a_pass_has_no_more_tokens_than_its_limit() {
    let (handler, seen) = one_hot();
    let texts: Vec<String> = (1..40).map(|n| "cat ".repeat(n)).collect();
    answer(&handler, &json!({"query_from_app": "dog", "actual_queries": texts})).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 1);
    assert!(seen.iter().all(|(texts, tokens)| *texts == 1 || *tokens <= 64), "{seen:?}");
}

#[test]
fn a_text_that_is_cut_is_said_so() {
    let long = "cat ".repeat(300);
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat", long, "dog", long]});
    let response = answer(&handler, &event).unwrap();
    assert_eq!(response["Truncated"], json!({"query": false, "actual_queries": [1, 3]}));
    let event = json!({"query_from_app": long, "actual_queries": ["cat"]});
    let response = answer(&handler, &event).unwrap();
    assert_eq!(response["Truncated"], json!({"query": true, "actual_queries": []}));
}

#[test]
fn a_text_that_may_not_be_cut_is_an_error_with_index_tokens_and_limit() {
    let long = "cat ".repeat(300);
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat", long],
                       "truncate": false});
    let error = handle(&handler, event.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.code(), "request.too_many_tokens");
    assert_eq!(
        error.to_string(),
        "the text actual_queries[1] has 302 tokens, the limit is 256 and truncate is false"
    );
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat"], "truncate": false});
    assert!(answer(&handler, &event).is_ok());
}

#[test]
fn a_vector_without_direction_is_an_error() {
    for constant in [0.0, f32::NAN, f32::INFINITY] {
        let handler = handler(service_on(Constant(constant), 4, Limits::default()));
        let event = json!({"query_from_app": "a", "actual_queries": ["b"]});
        assert_eq!(answer(&handler, &event), Err("model.degenerate_embedding".to_owned()));
    }
}

#[test]
fn a_bug_fails_one_event_and_the_next_is_answered() {
    let handler = handler(service_on(PanicsOn(4937), 16, Limits::default()));
    let bad = json!({"query_from_app": "cat", "actual_queries": ["b"]});
    let good = json!({"query_from_app": "dog", "actual_queries": ["dog"]});
    assert_eq!(answer(&handler, &bad), Err("internal.panic".to_owned()));
    assert_eq!(answer(&handler, &good).unwrap()["Scores"][0][0], "dog");
}

#[test]
fn an_error_message_never_holds_the_text() {
    let secret = "sehr-geheim";
    let handler = handler(service_on(OneHot::default(), 16, Limits { texts: 1, text_bytes: 64 }));
    let events = [
        format!("{{\"query_from_app\": \"{secret}\""),
        json!({"query_from_app": format!("{secret}\0"), "actual_queries": []}).to_string(),
        json!({"query_from_app": secret.repeat(9), "actual_queries": []}).to_string(),
        json!({"query_from_app": [secret], "actual_queries": []}).to_string(),
        json!({"query_from_app": "a", "actual_queries": [secret, secret]}).to_string(),
        json!({"query_from_app": "a", "actual_queries": {secret: secret}}).to_string(),
    ];
    for event in events {
        let error = handle(&handler, event.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

#[test]
fn the_seeds_event_is_answered_by_the_real_model() {
    let event = std::fs::read_to_string(crate::support::repository("tests/events/london.json"));
    let event: Value = serde_json::from_str(&event.unwrap()).unwrap();
    let request = SimilarityRequest::decode(event, service().limits()).unwrap();
    let (scores, usage) = service().similarity(&request).unwrap();
    assert_eq!((usage.texts, usage.unique_texts, usage.cut.as_slice()), (3, 3, &[][..]));
    assert_eq!((usage.tokens, usage.prompt_tokens), (9 + 9 + 9, 27));
    assert!(scores[0] > scores[1]);
}

#[test]
fn a_warm_up_asks_nothing_of_the_model() {
    let (handler, seen) = one_hot();
    let schedule = json!({"version": "0", "id": "1", "detail-type": "Scheduled Event",
                          "source": "aws.events", "time": "2026-01-01T00:00:00Z", "detail": {}});
    for event in [schedule, json!({"operation": "warmup"})] {
        assert_eq!(answer(&handler, &event), Ok(json!({"status": "warm"})), "{event}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn only_the_bad_records_of_a_queue_come_back() {
    let handler = handler(service_on(PanicsOn(4937), 16, Limits::default()));
    let record = |id: &str, body: &str| json!({"messageId": id, "eventSource": "aws:sqs", "body": body, "attributes": {}});
    let good = json!({"query_from_app": "dog", "actual_queries": ["dog"]}).to_string();
    let panics = json!({"operation": "embed", "inputs": "cat"}).to_string();
    let records = [
        record("good-1", &good),
        record("not-json", "{"),
        record("panics", &panics),
        record("wrong", &json!({"query_from_app": 1, "actual_queries": []}).to_string()),
        record("good-2", &json!({"operation": "embed", "inputs": "dog"}).to_string()),
    ];
    let failed = json!([{"itemIdentifier": "not-json"}, {"itemIdentifier": "panics"},
                        {"itemIdentifier": "wrong"}]);
    let answered = answer(&handler, &json!({"Records": records})).unwrap();
    assert_eq!(answered, json!({"batchItemFailures": failed}));
    let all_good = answer(&handler, &json!({"Records": [record("good-1", &good)]})).unwrap();
    assert_eq!(all_good, json!({"batchItemFailures": []}));
    let broken = json!({"Records": [{"eventSource": "aws:sqs", "body": good}]});
    assert_eq!(answer(&handler, &broken), Err("request.unknown_event".to_owned()));
}

#[test]
fn an_event_of_no_known_shape_is_told_what_is_accepted() {
    let (handler, _) = one_hot();
    for event in [json!({}), json!({"Records": [{"eventSource": "aws:s3"}]}), json!({"query": "a"})]
    {
        let error = handle(&handler, event.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.code(), "request.unknown_event", "{event}");
        let message = error.to_string();
        for accepted in ["query_from_app", "operation", "HTTP", "EventBridge", "SQS"] {
            assert!(message.contains(accepted), "{message}");
        }
    }
}

#[test]
fn a_response_beyond_the_limit_says_how_many_vectors_fit() {
    let (handler, _) = one_hot();
    let handler = handler.with_response_bytes(1_000);
    let event = |texts: usize| {
        let texts: Vec<String> = (0..texts).map(|i| format!("dog {i}")).collect();
        json!({"operation": "embed", "inputs": texts}).to_string()
    };
    let error = handle(&handler, event(40).as_bytes()).unwrap_err();
    assert_eq!(error.code(), "response.too_large");
    let HandlerError::ResponseTooLarge { bytes, limit_bytes, items, fit } = error else {
        panic!("{error}");
    };
    assert_eq!((limit_bytes, items), (1_000, 40));
    assert!(bytes > 1_000 && fit > 0 && fit < 40, "{bytes} {fit}");
    let rows = handle(&handler, event(fit).as_bytes()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), fit, "as many as it said do fit");
}
