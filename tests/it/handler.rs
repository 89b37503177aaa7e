//! The handler's contract: an event in, a response or an error out, compared whole.

use semblance::api::Limits;
use semblance::lambda::Handler;
use serde_json::{Value, json};

use crate::support::{Constant, OneHot, PanicsOn, Seen, service_on, with_service};

fn answer(handler: &mut Handler, event: &Value) -> Result<Value, String> {
    match handler.handle(event.to_string().as_bytes(), "request-1") {
        Ok((response, _)) => Ok(serde_json::to_value(response).unwrap()),
        Err(error) => Err(error.code().to_owned()),
    }
}

fn one_hot() -> (Handler, Seen) {
    let model = OneHot::default();
    let seen = model.seen.clone();
    (Handler::new(service_on(model, Limits::default())), seen)
}

#[test]
fn the_best_candidate_comes_first_and_texts_are_echoed_exactly() {
    let (mut handler, _) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["  Dog\t", "CAT", "dog"]});
    let response = answer(&mut handler, &event).unwrap();
    let texts: Vec<&Value> =
        response["Scores"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert_eq!(texts, ["CAT", "  Dog\t", "dog"]);
    assert!((response["Scores"][0][1].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert!(response.get("Truncated").is_none());
}

#[test]
fn duplicates_are_kept_and_ties_stay_in_input_order() {
    let (mut handler, seen) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["dog", "cat", "dog", "cat"]});
    let response = answer(&mut handler, &event).unwrap();
    let texts: Vec<&Value> =
        response["Scores"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert_eq!(texts, ["cat", "cat", "dog", "dog"]);
    assert_eq!(*seen.lock().unwrap(), [(2, 3)], "each different text goes through the model once");
}

#[test]
fn a_text_seen_in_an_earlier_event_is_not_embedded_again() {
    let (mut handler, seen) = one_hot();
    let first = json!({"query_from_app": "cat", "actual_queries": ["dog", "red cat"]});
    let cold = answer(&mut handler, &first).unwrap();
    let warm = handler.handle(first.to_string().as_bytes(), "request-2").unwrap();
    assert_eq!(serde_json::to_value(warm.0).unwrap(), cold, "the same from memory");
    assert_eq!((warm.1.cache_hits, warm.1.tokens), (3, 0));
    let second = json!({"query_from_app": "bird", "actual_queries": ["dog", "red cat", "cat"]});
    let (_, usage) = handler.handle(second.to_string().as_bytes(), "request-3").unwrap();
    assert_eq!((usage.unique_texts, usage.cache_hits, usage.tokens), (4, 3, 3));
    assert_eq!(*seen.lock().unwrap(), [(3, 4), (1, 3)]);
}

#[test]
fn what_is_known_of_a_cut_text_is_still_said() {
    let long = "cat ".repeat(300);
    let (mut handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": [long]});
    let cold = answer(&mut handler, &event).unwrap();
    assert_eq!(answer(&mut handler, &event).unwrap(), cold);
    let refused = json!({"query_from_app": "dog", "actual_queries": [long], "truncate": false});
    assert_eq!(answer(&mut handler, &refused), Err("request.too_many_tokens".to_owned()));
}

#[test]
fn no_candidate_gives_no_score_and_asks_nothing_of_the_model() {
    let (mut handler, seen) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": []});
    assert_eq!(answer(&mut handler, &event), Ok(json!({"Scores": []})));
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn top_k_gives_the_best() {
    let (mut handler, _) = one_hot();
    let event = json!({"query_from_app": "cat", "actual_queries": ["dog", "cat"], "top_k": 1});
    let scores = answer(&mut handler, &event).unwrap()["Scores"].clone();
    assert_eq!(scores.as_array().unwrap().len(), 1);
    assert_eq!(scores[0][0], "cat");
}

#[test]
fn a_batch_holds_no_more_padded_tokens_than_its_budget() {
    let (mut handler, seen) = one_hot();
    let texts: Vec<String> = (1..40).map(|n| "cat ".repeat(n)).collect();
    answer(&mut handler, &json!({"query_from_app": "dog", "actual_queries": texts})).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 1);
    assert!(seen.iter().all(|(rows, width)| *rows == 1 || rows * width <= 64), "{seen:?}");
}

#[test]
fn a_text_that_is_cut_is_said_so() {
    let long = "cat ".repeat(300);
    let (mut handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat", long, "dog", long]});
    let response = answer(&mut handler, &event).unwrap();
    assert_eq!(response["Truncated"], json!({"query": false, "actual_queries": [1, 3]}));
    let event = json!({"query_from_app": long, "actual_queries": ["cat"]});
    let response = answer(&mut handler, &event).unwrap();
    assert_eq!(response["Truncated"], json!({"query": true, "actual_queries": []}));
}

#[test]
fn a_text_that_may_not_be_cut_is_an_error_with_index_tokens_and_limit() {
    let long = "cat ".repeat(300);
    let (mut handler, _) = one_hot();
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat", long],
                       "truncate": false});
    let error = handler.handle(event.to_string().as_bytes(), "request-1").unwrap_err();
    assert_eq!(error.code(), "request.too_many_tokens");
    assert_eq!(
        error.to_string(),
        "the text actual_queries[1] has 302 tokens, the limit is 256 and truncate is false"
    );
    let event = json!({"query_from_app": "dog", "actual_queries": ["cat"], "truncate": false});
    assert!(answer(&mut handler, &event).is_ok());
}

#[test]
fn a_vector_without_direction_is_an_error() {
    for constant in [0.0, f32::NAN, f32::INFINITY] {
        let mut handler = Handler::new(service_on(Constant(constant), Limits::default()));
        let event = json!({"query_from_app": "a", "actual_queries": ["b"]});
        assert_eq!(answer(&mut handler, &event), Err("model.degenerate_embedding".to_owned()));
    }
}

#[test]
fn a_bug_fails_one_event_and_the_next_is_answered() {
    let service = service_on(PanicsOn(4937), Limits::default());
    let mut handler = Handler::new(service);
    let bad = json!({"query_from_app": "cat", "actual_queries": ["b"]});
    let good = json!({"query_from_app": "dog", "actual_queries": ["dog"]});
    assert_eq!(answer(&mut handler, &bad), Err("internal.panic".to_owned()));
    assert_eq!(answer(&mut handler, &good).unwrap()["Scores"][0][0], "dog");
}

#[test]
fn an_error_message_never_holds_the_text() {
    let secret = "sehr-geheim";
    let mut handler =
        Handler::new(service_on(OneHot::default(), Limits { texts: 1, text_bytes: 64 }));
    let events = [
        format!("{{\"query_from_app\": \"{secret}\""),
        json!({"query_from_app": format!("{secret}\0"), "actual_queries": []}).to_string(),
        json!({"query_from_app": secret.repeat(9), "actual_queries": []}).to_string(),
        json!({"query_from_app": [secret], "actual_queries": []}).to_string(),
        json!({"query_from_app": "a", "actual_queries": [secret, secret]}).to_string(),
        json!({"query_from_app": "a", "actual_queries": {secret: secret}}).to_string(),
    ];
    for event in events {
        let error = handler.handle(event.as_bytes(), "request-1").unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

#[test]
fn the_seeds_event_is_answered_by_the_real_model() {
    let event = std::fs::read_to_string(crate::support::repository("tests/events/london.json"));
    let event: Value = serde_json::from_str(&event.unwrap()).unwrap();
    let limits = Limits::default();
    let request = semblance::api::SimilarityRequest::decode(event, &limits).unwrap();
    let (response, usage) = with_service(|service| service.similarity(&request)).unwrap();
    assert_eq!((usage.texts, usage.unique_texts, usage.truncated), (3, 3, 0));
    assert_eq!(usage.tokens, 9 + 9 + 9);
    assert_eq!(response.scores[0].0, "Around 9 Million people live in London");
}
