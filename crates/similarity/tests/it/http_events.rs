//! HTTP events in each form: the response is that of the route, in the form of the sender.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Context;
use semblance_api::Admission;
use semblance_api::http::HttpOptions;
use semblance_similarity::{Handler, ReplyLimit};
use semblance_test_support::{assert_close, repository, service};
use serde_json::{Value, json};

use crate::http_event::{FORMS, Form, JSON};

pub(crate) fn handler() -> Handler {
    Handler::new(Admission::inline(Arc::clone(service())), HttpOptions::default())
}

pub(crate) fn answer(handler: &Handler, event: &Value) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let event = event.to_string();
    let mut context = Context::default();
    context.request_id = "request-1".into();
    let response = runtime.block_on(handler.handle(event.as_bytes(), context)).unwrap();
    serde_json::from_str(response.get()).unwrap()
}

pub(crate) fn body(response: &Value) -> Value {
    let text = response["body"].as_str().unwrap();
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{response}"))
}

pub(crate) fn header<'a>(form: Form, response: &'a Value, name: &str) -> Option<&'a str> {
    match form {
        Form::V1 => response["multiValueHeaders"][name][0].as_str(),
        Form::V2 | Form::LoadBalancer => response["headers"][name].as_str(),
    }
}

fn london() -> Vec<u8> {
    std::fs::read(repository("tests/events/london.json")).unwrap()
}

#[test]
fn an_event_of_each_form_is_answered_in_that_form() {
    let handler = handler();
    let direct = answer(&handler, &serde_json::from_slice(&london()).unwrap());
    for form in FORMS {
        for path in ["/", "/invocations"] {
            let response = answer(&handler, &form.event("POST", path, &[JSON], &london()));
            assert_eq!(response["statusCode"], 200, "{response}");
            assert_eq!(response["isBase64Encoded"], false);
            assert_close(&body(&response), &direct);
            assert_eq!(header(form, &response, "content-type"), Some("application/json"));
            assert_eq!(header(form, &response, "x-request-id"), Some("request-1"), "{response}");
        }
    }
}

#[test]
fn an_error_of_each_form_has_its_status_and_code() {
    let handler = handler();
    let cases: [(&str, &str, &[u8], u64, &str); 7] = [
        ("POST", "/embed", b"{", 400, "request.invalid_json"),
        ("POST", "/embed", b"{}", 422, "request.missing_field"),
        ("GET", "/embed", b"", 405, "http.method_not_allowed"),
        ("GET", "/nothing", b"", 404, "http.not_found"),
        ("POST", "/predict", br#"{"inputs": ["a", "b"]}"#, 404, "request.no_cross_encoder"),
        ("POST", "/v1/embeddings", b"{}", 400, "request.missing_field"),
        ("POST", "/", br#"{"Records": []}"#, 422, "request.unknown_event"),
    ];
    let expected: Vec<_> =
        FORMS.into_iter().flat_map(|form| cases.map(|case| (form, case))).collect();
    let found: Vec<_> = expected
        .iter()
        .map(|&(form, (method, path, sent, ..))| {
            let response = answer(&handler, &form.event(method, path, &[JSON], sent));
            let body = body(&response);
            // The routes below /v1 answer as OpenAI does.
            let code = body["error_type"].as_str().or(body["error"]["code"].as_str());
            (form, method, path, response["statusCode"].clone(), code.map(str::to_owned))
        })
        .collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(form, (method, path, _, status, code))| {
            (form, method, path, json!(status), Some(code.to_owned()))
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn an_unknown_body_is_told_the_shapes_of_http() {
    let handler = handler();
    let sent = br#"{"Records": [{"eventSource": "aws:sqs"}]}"#;
    let errors = FORMS.map(|form| body(&answer(&handler, &form.event("POST", "/", &[JSON], sent))));
    let expected = json!({
        "error": "unrecognized request: expected {\"query_from_app\", \"actual_queries\"}, \
                  {\"inputs\"} or {\"operation\", …}",
        "error_type": "request.unknown_event",
    });
    assert_eq!(errors, FORMS.map(|_| expected.clone()));
}

#[test]
fn a_body_in_base64_is_read() {
    let handler = handler();
    let sent = r#"{"inputs": "Zürich"}"#;
    for form in FORMS {
        let plain = answer(&handler, &form.event("POST", "/embed", &[JSON], sent.as_bytes()));
        let mut event = form.event("POST", "/embed", &[JSON], b"");
        event["body"] = json!(STANDARD.encode(sent));
        event["isBase64Encoded"] = json!(true);
        assert_close(&body(&answer(&handler, &event)), &body(&plain));
    }
}

#[test]
fn a_compressed_response_comes_in_base64() {
    let handler = handler();
    let headers = [JSON, ("accept-encoding", "gzip")];
    for form in FORMS {
        let event = form.event("POST", "/embed", &headers, br#"{"inputs": "London"}"#);
        let response = answer(&handler, &event);
        assert_eq!(response["isBase64Encoded"], true, "{form:?}");
        assert_eq!(header(form, &response, "content-encoding"), Some("gzip"));
        let packed = STANDARD.decode(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(packed[..2], [0x1f, 0x8b], "gzip's magic number");
    }
}

#[test]
fn a_large_response_is_an_error_of_the_dialect() {
    let handler = handler().with_reply_limit(ReplyLimit::new(20_000));
    let texts: Vec<String> = (0..30).map(|i| format!("text {i}")).collect();
    let request = json!({"inputs": texts, "input": texts}).to_string();
    for form in FORMS {
        let event = form.event("POST", "/embed", &[JSON], request.as_bytes());
        let response = answer(&handler, &event);
        assert_eq!(response["statusCode"], 413, "{form:?}");
        let error = body(&response);
        assert_eq!(error["error_type"], "response.too_large");
        let message = error["error"].as_str().unwrap();
        assert!(message.contains("limit is 20000") && message.contains("of its 30 items"));
        let event = form.event("POST", "/v1/embeddings", &[JSON], request.as_bytes());
        assert_eq!(body(&answer(&handler, &event))["error"]["code"], "response.too_large");
    }
    let rest = (0..4).map(|i| format!("text {i}")).collect::<Vec<_>>();
    let request = json!({"inputs": rest}).to_string();
    let response = answer(&handler, &Form::V2.event("POST", "/embed", &[JSON], request.as_bytes()));
    assert_eq!(response["statusCode"], 200, "the next that fits is answered");
}

#[test]
fn pages_of_other_origins_can_read_a_size_error() {
    let options =
        HttpOptions { cors_origins: vec!["https://a.example".into()], ..Default::default() };
    let handler = Handler::new(Admission::inline(Arc::clone(service())), options);
    let handler = handler.with_reply_limit(ReplyLimit::new(2_000));
    let headers = [JSON, ("origin", "https://a.example")];
    for form in FORMS {
        let event = form.event("POST", "/embed", &headers, br#"{"inputs": "London"}"#);
        let response = answer(&handler, &event);
        assert_eq!(response["statusCode"], 413, "{response}");
        let origin = header(form, &response, "access-control-allow-origin");
        assert_eq!(origin, Some("https://a.example"), "{response}");
        assert_eq!(header(form, &response, "x-request-id"), Some("request-1"));
        assert_eq!(header(form, &response, "content-type"), Some("application/json"));
    }
}

#[test]
fn a_load_balancer_has_its_own_limit() {
    let handler = handler();
    let texts: Vec<String> = (0..300).map(|i| format!("text {i}")).collect();
    let request = json!({"inputs": texts}).to_string();
    let event = |form: Form| form.event("POST", "/embed", &[JSON], request.as_bytes());
    assert_eq!(answer(&handler, &event(Form::V2))["statusCode"], 200);
    let response = answer(&handler, &event(Form::LoadBalancer));
    assert_eq!(response["statusCode"], 413, "over 1 MB");
    assert!(body(&response)["error"].as_str().unwrap().contains("1048576"));
}

#[test]
fn an_emulator_event_is_read_by_its_version() {
    let handler = handler();
    let mut event = Form::V2.event("POST", "/embed", &[JSON], br#"{"inputs": "London"}"#);
    for (name, value) in [("httpMethod", json!("GET")), ("resource", json!(null))] {
        event[name] = value;
    }
    let response = answer(&handler, &event);
    assert_eq!(response["statusCode"], 200, "{response}");
    assert_eq!(response["cookies"], json!([]));
}

#[test]
fn a_stage_is_not_part_of_the_path() {
    let handler = handler();
    for path in ["/prod/health", "/health"] {
        let mut event = Form::V2.event("GET", path, &[], b"");
        event["requestContext"]["stage"] = json!("prod");
        assert_eq!(answer(&handler, &event)["statusCode"], 200, "{path}");
    }
    let mut event = Form::V2.event("GET", "/prod", &[("accept", "application/json")], b"");
    event["requestContext"]["stage"] = json!("prod");
    assert_eq!(body(&answer(&handler, &event))["model_id"], "all-minilm-l6-v2");
}

#[test]
fn the_page_is_for_browsers() {
    let handler = handler();
    let headers = [("accept", "text/html,application/xhtml+xml")];
    let response = answer(&handler, &Form::V2.event("GET", "/", &headers, b""));
    assert_eq!(response["statusCode"], 200);
    let media_type = header(Form::V2, &response, "content-type").unwrap();
    assert!(media_type.starts_with("text/html"), "{media_type}");
    assert!(response["body"].as_str().unwrap().starts_with("<!doctype html>"));
}
