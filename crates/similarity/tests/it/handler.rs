//! The handler's contract: an event in, a response or an error out, compared whole.

use std::sync::Arc;

use lambda_runtime::Context;
use semblance_api::http::HttpOptions;
use semblance_api::{Admission, ApiError, Limits, Service, decode_event};
use semblance_similarity::{Handler, HandlerError, ReplyLimit};
use semblance_test_support::{Constant, OneHot, PanicsOn, Seen, fake_service, repository, service};
use serde_json::{Value, json};

fn handle(handler: &Handler, event: &[u8]) -> Result<Value, HandlerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(handler.handle(event, Context::default()))?;
    Ok(serde_json::from_str(response.get()).unwrap())
}

fn answer(handler: &Handler, event: &Value) -> Result<Value, String> {
    handle(handler, event.to_string().as_bytes()).map_err(|error| error.0.code().name.to_owned())
}

fn handler(service: Service) -> Handler {
    Handler::new(Admission::inline(Arc::new(service)), HttpOptions::default())
}

fn one_hot() -> (Handler, Seen) {
    let model = OneHot::default();
    let seen = model.seen.clone();
    (handler(fake_service(model, 16, Limits::default())), seen)
}

#[test]
fn the_best_text_is_first_and_texts_are_unchanged() {
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
fn duplicates_stay_and_ties_keep_input_order() {
    let (handler, seen) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["dog", "cat", "dog", "cat"]});
    let response = answer(&handler, &event).unwrap();
    let texts: Vec<&Value> =
        response["Scores"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert_eq!(texts, ["cat", "cat", "dog", "dog"]);
    assert_eq!(*seen.lock().unwrap(), [(2, 6)], "each distinct text goes through the model once");
}

#[test]
fn a_cached_text_is_not_embedded_again() {
    let model = OneHot::default();
    let seen = model.seen.clone();
    let service = fake_service(model, 16, Limits::default());
    let similarity = |event: Value| {
        let call = decode_event(event, service.limits()).unwrap();
        let answer = call.run(&service).unwrap();
        (answer.reply.body.get().to_owned(), answer.report.cost)
    };
    let first = json!({"query_from_app": "cat", "actual_queries": ["dog", "red cat"]});
    let (cold, _) = similarity(first.clone());
    let (warm, cost) = similarity(first);
    assert_eq!(warm, cold, "the same from memory");
    assert_eq!((cost.cache_hits, cost.tokens, cost.prompt_tokens), (3, 0, 10));
    let second = json!({"query_from_app": "bird", "actual_queries": ["dog", "red cat", "cat"]});
    let (_, cost) = similarity(second);
    assert_eq!((cost.unique_texts, cost.cache_hits, cost.tokens), (4, 3, 3));
    assert_eq!(*seen.lock().unwrap(), [(3, 10), (1, 3)]);
}

#[test]
fn truncation_is_reported_from_the_cache_too() {
    let long = "cat ".repeat(300);
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": [long]});
    let cold = answer(&handler, &event).unwrap();
    assert_eq!(answer(&handler, &event).unwrap(), cold);
    let refused = json!({"query_from_app": "dog", "actual_queries": [long], "truncate": false});
    assert_eq!(answer(&handler, &refused), Err("request.too_many_tokens".to_owned()));
}

#[test]
fn an_empty_list_runs_no_model() {
    let (handler, seen) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": []});
    assert_eq!(answer(&handler, &event), Ok(json!({"Scores": []})));
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn top_k_keeps_the_best() {
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
fn truncated_texts_are_reported() {
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
fn a_text_that_must_not_be_truncated_is_an_error() {
    let long = "cat ".repeat(300);
    let (handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat", long],
                       "truncate": false});
    let error = handle(&handler, event.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.0.code().name, "request.too_many_tokens");
    assert_eq!(
        error.to_string(),
        "the text actual_queries[1] has 302 tokens; the limit is 256 and truncation is disabled"
    );
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat"], "truncate": false});
    assert!(answer(&handler, &event).is_ok());
}

#[test]
fn a_zero_or_infinite_vector_is_an_error() {
    let answers = [0.0, f32::NAN, f32::INFINITY].map(|constant| {
        let handler = handler(fake_service(Constant(constant), 4, Limits::default()));
        answer(&handler, &json!({"query_from_app": "a", "actual_queries": ["b"]}))
    });
    assert_eq!(answers, [(); 3].map(|()| Err("model.degenerate_embedding".to_owned())));
}

#[test]
fn a_panic_fails_one_event_only() {
    let handler = handler(fake_service(PanicsOn(4937), 16, Limits::default()));
    let bad = json!({"query_from_app": "cat", "actual_queries": ["b"]});
    let good = json!({"query_from_app": "dog", "actual_queries": ["dog"]});
    assert_eq!(answer(&handler, &bad), Err("internal.panic".to_owned()));
    assert_eq!(answer(&handler, &good).unwrap()["Scores"][0][0], "dog");
}

#[test]
fn no_error_message_contains_the_text() {
    let secret = "sehr-geheim";
    let handler = handler(fake_service(
        OneHot::default(),
        16,
        Limits { texts: 1, text_bytes: 64, ..Limits::default() },
    ));
    let events = [
        format!("{{\"query_from_app\": \"{secret}\""),
        json!({"query_from_app": secret.repeat(9), "actual_queries": [], "truncate": false})
            .to_string(),
        json!({"query_from_app": [secret], "actual_queries": []}).to_string(),
        json!({"query_from_app": "a", "actual_queries": [secret, secret]}).to_string(),
        json!({"query_from_app": "a", "actual_queries": {secret: secret}}).to_string(),
    ];
    let messages = events.map(|event| handle(&handler, event.as_bytes()).unwrap_err().to_string());
    let leaks: Vec<&String> = messages.iter().filter(|text| text.contains(secret)).collect();
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn the_example_event_has_its_cost() {
    let event = std::fs::read(repository("tests/events/london.json")).unwrap();
    let call = decode_event(serde_json::from_slice(&event).unwrap(), service().limits()).unwrap();
    let answer = call.run(service()).unwrap();
    let cost = &answer.report.cost;
    assert_eq!((cost.texts, cost.unique_texts, cost.truncated.as_slice()), (3, 3, &[][..]));
    assert_eq!((cost.tokens, cost.prompt_tokens), (9 + 9 + 9, 27));
    let reply: Value = serde_json::from_str(answer.reply.body.get()).unwrap();
    assert_eq!(reply["Scores"][0][0], "Around 9 Million people live in London");
}

#[test]
fn a_warm_up_runs_no_model() {
    let (handler, seen) = one_hot();
    let schedule = json!({"version": "0", "id": "1", "detail-type": "Scheduled Event",
                          "source": "aws.events", "time": "2026-01-01T00:00:00Z", "detail": {}});
    let answers = [schedule, json!({"operation": "warmup"})].map(|event| answer(&handler, &event));
    assert_eq!(answers, [(); 2].map(|()| Ok(json!({"status": "warm"}))));
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn only_the_failed_records_come_back() {
    let handler = handler(fake_service(PanicsOn(4937), 16, Limits::default()));
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
}

#[test]
fn an_unknown_event_is_told_the_shapes_of_its_door() {
    let (handler, _) = one_hot();
    let direct = "unrecognized request: expected {\"query_from_app\", \"actual_queries\"}, \
                  {\"operation\", …} or the body of a route";
    let records = "unrecognized request: expected a record of SQS with \"body\", or of SNS with \
                   \"Sns\": {\"Message\"}";
    let cases = [
        (json!({}), direct),
        (json!({"Records": [{"eventSource": "aws:s3"}]}), direct),
        (json!({"query": "a"}), direct),
        (json!({"Records": [{"EventSource": "aws:sns"}]}), records),
    ];
    let found = cases.each_ref().map(|(event, _)| {
        let error = handle(&handler, event.to_string().as_bytes()).unwrap_err();
        (event.clone(), error.0.code().name, error.to_string())
    });
    let expected =
        cases.map(|(event, message)| (event, "request.unknown_event", message.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn a_large_response_says_how_many_items_fit() {
    let (handler, _) = one_hot();
    let handler = handler.with_reply_limit(ReplyLimit::new(1_000));
    let event = |texts: usize| {
        let texts: Vec<String> = (0..texts).map(|i| format!("dog {i}")).collect();
        json!({"operation": "embed", "inputs": texts}).to_string()
    };
    let error = handle(&handler, event(40).as_bytes()).unwrap_err();
    assert_eq!(error.0.code().name, "response.too_large");
    let HandlerError(ApiError::ReplyTooLarge { bytes, limit_bytes, items, fit }) = error else {
        panic!("{error}");
    };
    assert_eq!((limit_bytes, items), (1_000, 40));
    assert!(bytes > 1_000 && fit > 0 && fit < 40, "{bytes} {fit}");
    let rows = handle(&handler, event(fit).as_bytes()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), fit, "the number in the message fits");
}
