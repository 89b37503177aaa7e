//! HTTP requests as events, in each form they come in: the answer is that of the operation, in the
//! form of the sender.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Context;
use semblance::http::{Gate, HttpOptions};
use semblance::lambda::Handler;
use serde_json::{Value, json};

use crate::support::{assert_close, service};

/// The senders' forms.
const FORMS: [Form; 3] = [Form::V1, Form::V2, Form::LoadBalancer];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    V1,
    V2,
    LoadBalancer,
}

impl Form {
    /// A request in this form; a body that is no text comes in base64.
    ///
    /// Fields as in the AWS Lambda developer guide: "Using AWS Lambda with Amazon API Gateway",
    /// "Lambda function URLs", and the ELB user guide, "Lambda functions as targets".
    fn event(self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let (body, is_base64) = match str::from_utf8(body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (STANDARD.encode(body), true),
        };
        match self {
            Self::V1 => json!({
                "resource": "/{proxy+}", "path": path, "httpMethod": method,
                "headers": headers, "multiValueHeaders": {},
                "queryStringParameters": null, "multiValueQueryStringParameters": null,
                "pathParameters": {"proxy": path}, "stageVariables": null,
                "requestContext": {"accountId": "123456789012", "resourceId": "us4z18",
                    "stage": "test", "requestId": "41b45ea3-70b5-11e6-b7bd-69b5aaebc7d9",
                    "identity": {"sourceIp": "192.168.100.1"}, "resourcePath": "/{proxy+}",
                    "httpMethod": method, "apiId": "wt6mne2s9k", "path": path,
                    "protocol": "HTTP/1.1"},
                "body": body, "isBase64Encoded": is_base64}),
            Self::V2 => json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
                "headers": headers,
                "requestContext": {"accountId": "123456789012", "apiId": "api-id",
                    "domainName": "id.lambda-url.eu-west-1.on.aws", "domainPrefix": "id",
                    "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                             "sourceIp": "192.168.0.1", "userAgent": "agent"},
                    "requestId": "id", "routeKey": "$default", "stage": "$default",
                    "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_u64},
                "body": body, "isBase64Encoded": is_base64}),
            Self::LoadBalancer => json!({
                "requestContext": {"elb": {"targetGroupArn":
                    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/1"}},
                "httpMethod": method, "path": path, "queryStringParameters": {},
                "headers": headers, "body": body, "isBase64Encoded": is_base64}),
        }
    }
}

fn handler() -> Handler {
    Handler::new(Gate::inline(Arc::clone(service())), HttpOptions::default())
}

fn answer(handler: &Handler, event: &Value) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let event = event.to_string();
    let mut context = Context::default();
    context.request_id = "request-1".into();
    let response = runtime.block_on(handler.handle(event.as_bytes(), context)).unwrap();
    serde_json::from_str(response.get()).unwrap()
}

fn body(response: &Value) -> Value {
    let text = response["body"].as_str().unwrap();
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{response}"))
}

fn header<'a>(form: Form, response: &'a Value, name: &str) -> Option<&'a str> {
    match form {
        Form::V1 => response["multiValueHeaders"][name][0].as_str(),
        Form::V2 | Form::LoadBalancer => response["headers"][name].as_str(),
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn london() -> Vec<u8> {
    std::fs::read(crate::support::repository("tests/events/london.json")).unwrap()
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
    let cases: [(&str, &str, &[u8], u64, &str); 5] = [
        ("POST", "/embed", b"{", 400, "request.invalid_json"),
        ("POST", "/embed", b"{}", 422, "request.missing_field"),
        ("GET", "/embed", b"", 405, "http.method_not_allowed"),
        ("GET", "/nothing", b"", 404, "http.not_found"),
        ("POST", "/predict", br#"{"inputs": ["a", "b"]}"#, 404, "request.no_cross_encoder"),
    ];
    for form in FORMS {
        for (method, path, sent, status, code) in cases {
            let response = answer(&handler, &form.event(method, path, &[JSON], sent));
            assert_eq!(response["statusCode"], status, "{form:?} {path} {response}");
            assert_eq!(body(&response)["error_type"], code, "{form:?} {path}");
        }
        let response = answer(&handler, &form.event("POST", "/v1/embeddings", &[JSON], b"{}"));
        assert_eq!(response["statusCode"], 400);
        assert_eq!(body(&response)["error"]["code"], "request.missing_field");
    }
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
fn a_response_beyond_the_limit_is_an_error_of_the_dialect() {
    let handler = handler().with_response_bytes(20_000);
    let texts: Vec<String> = (0..30).map(|i| format!("text {i}")).collect();
    let request = json!({"inputs": texts, "input": texts}).to_string();
    for form in FORMS {
        let event = form.event("POST", "/embed", &[JSON], request.as_bytes());
        let response = answer(&handler, &event);
        assert_eq!(response["statusCode"], 413, "{form:?}");
        let error = body(&response);
        assert_eq!(error["error_type"], "response.too_large");
        let message = error["error"].as_str().unwrap();
        assert!(message.contains("limit is 20000") && message.contains("of the 30 items"));
        let event = form.event("POST", "/v1/embeddings", &[JSON], request.as_bytes());
        assert_eq!(body(&answer(&handler, &event))["error"]["code"], "response.too_large");
    }
    let rest = (0..4).map(|i| format!("text {i}")).collect::<Vec<_>>();
    let request = json!({"inputs": rest}).to_string();
    let response = answer(&handler, &Form::V2.event("POST", "/embed", &[JSON], request.as_bytes()));
    assert_eq!(response["statusCode"], 200, "the next that fits is answered");
}

#[test]
fn a_refusal_for_its_size_can_be_read_by_pages_of_other_origins() {
    let options =
        HttpOptions { cors_origins: vec!["https://a.example".into()], ..Default::default() };
    let handler = Handler::new(Gate::inline(Arc::clone(service())), options);
    let handler = handler.with_response_bytes(2_000);
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
fn a_load_balancer_has_a_limit_of_its_own() {
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
fn the_emulators_own_form_is_read_by_its_version() {
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
fn a_stage_is_no_part_of_the_path() {
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
