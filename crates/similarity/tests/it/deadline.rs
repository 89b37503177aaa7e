//! Requests that cannot be done in the time that is left are refused early.

use std::process::Stdio;
use std::time::Duration;

use semblance_test_support::{Function, Kind, RuntimeApi, bundle, library};
use serde_json::{Value, json};

use crate::http_event::{Form, JSON};

/// Longer than any of these requests takes, so that a function without this check times out.
const LONG: Duration = Duration::from_secs(900);

fn start(timeout: Duration, variables: &[(&str, &str)]) -> Function {
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .env("SEMBLANCE_THREADS", "1")
        .env("SEMBLANCE_MAX_TEXTS", "20000")
        .envs(variables.iter().copied())
        .stdout(Stdio::null());
    Function::start(RuntimeApi::start_with(timeout).unwrap(), command).unwrap()
}

/// Texts of 2.5 million tokens: minutes of work.
fn texts() -> Vec<String> {
    (0..10_000).map(|number| format!("{number}{}", " a".repeat(250))).collect()
}

fn embed(texts: &[String]) -> Value {
    json!({"operation": "embed", "inputs": texts})
}

/// Asserts that a message has an estimate beyond the time that was left, which is at most `limit`.
fn assert_estimate(message: &Value, limit: Duration) {
    let message = message.as_str().unwrap();
    println!("{message}");
    let seconds: Vec<f64> = message
        .split(' ')
        .zip(message.split(' ').skip(1))
        .filter(|(_, unit)| *unit == "s")
        .map(|(number, _)| number.parse().unwrap())
        .collect();
    let [estimate, available] = seconds[..] else { panic!("{message}") };
    assert!(estimate > available && available <= limit.as_secs_f64(), "{message}");
}

#[test]
fn a_direct_event_is_refused_before_the_timeout_of_the_function() {
    let limit = Duration::from_secs(20);
    let function = start(limit, &[]);
    let (kind, error) = function.invoke(embed(&texts()).to_string().as_bytes());
    assert_eq!((kind, &error["errorType"]), (Kind::Error, &json!("request.too_much_work")));
    assert_estimate(&error["errorMessage"], limit);
    let (kind, _) = function.invoke(embed(&["a text".to_owned()]).to_string().as_bytes());
    assert_eq!(kind, Kind::Response, "the function continues");
}

#[test]
fn a_record_that_is_too_much_work_does_not_affect_the_others() {
    let function = start(Duration::from_secs(20), &[]);
    let record = |id: &str, texts: &[String]| json!({"eventSource": "aws:sqs", "messageId": id, "body": embed(texts).to_string()});
    let records = [record("large", &texts()), record("small", &["a text".to_owned()])];
    let (kind, answer) = function.invoke(json!({"Records": records}).to_string().as_bytes());
    assert_eq!(kind, Kind::Response);
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "large"}]}));
}

/// Returns the body of the response to an HTTP event, which has this status.
fn refused(function: &Function, event: &Value, status: u16) -> Value {
    let (kind, response) = function.invoke(event.to_string().as_bytes());
    assert_eq!(kind, Kind::Response);
    assert_eq!(response["statusCode"], status, "{}", response["body"]);
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

#[test]
fn a_request_through_an_api_gateway_is_refused_before_its_limit() {
    let function = start(LONG, &[]);
    let body = json!({"inputs": texts()}).to_string();
    for (form, seconds) in [(Form::V2, 30), (Form::V1, 29)] {
        let mut event = form.event("POST", "/embed", &[JSON], body.as_bytes());
        event["requestContext"]["domainName"] = json!("id.execute-api.eu-west-1.amazonaws.com");
        let body = refused(&function, &event, 413);
        assert_eq!(body["error_type"], "request.too_much_work", "{form:?}");
        assert_estimate(&body["error"], Duration::from_secs(seconds));
    }
}

#[test]
fn the_limit_of_another_sender_can_be_set() {
    let function = start(LONG, &[("SEMBLANCE_HTTP_TIMEOUT_SECONDS", "20")]);
    let body = json!({"input": texts(), "model": "m"}).to_string();
    let event = Form::LoadBalancer.event("POST", "/v1/embeddings", &[JSON], body.as_bytes());
    let body = refused(&function, &event, 400);
    assert_eq!(body["error"]["code"], "request.too_much_work");
    assert_estimate(&body["error"]["message"], Duration::from_secs(20));
}
