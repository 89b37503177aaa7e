//! Random HTTP events: each is answered with an HTTP response that is not a failure of the service. The fuzz target `http_event` looks for the same.

use std::sync::Arc;

use lambda_runtime::Context;
use proptest::prelude::*;
use proptest::sample::select;
use semblance_api::http::HttpOptions;
use semblance_api::{Admission, Limits};
use semblance_similarity::Handler;
use semblance_test_support::{OneHot, fake_service, repository};
use serde_json::{Value, json};

use crate::http_event::{FORMS, Form, JSON};

fn handler() -> Handler {
    let service = fake_service(OneHot::default(), 16, Limits::default());
    Handler::new(Admission::inline(Arc::new(service)), HttpOptions::default())
}

fn handle(handler: &Handler, event: &[u8]) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(handler.handle(event, Context::default()));
    let response = response.map_err(|error| error.0.code().name.to_owned())?;
    Ok(serde_json::from_str(response.get()).unwrap())
}

/// Values that a decoder may not expect, as JSON.
const ODD_VALUES: [&str; 21] = [
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "\"\"",
    "[]",
    "{}",
    r#""\ud800""#,
    r#""\u0000""#,
    "[[[[]]]]",
    r#""a\r\nb: c""#,
    r#""/../embed""#,
    r#""//""#,
    r#""gzip""#,
    r#""identity""#,
    r#""POST""#,
    r#""%""#,
    r#"["a", 1, null]"#,
    r#"{"a": ["b"], "proxy": "embed"}"#,
    r#""application/json; charset=x""#,
];

/// A value that a decoder may not expect, as JSON.
fn odd_value() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&ODD_VALUES[..]).prop_map(str::to_owned),
        any::<String>().prop_map(|text| json!(text).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        proptest::collection::vec(any::<String>(), 0..4).prop_map(|list| json!(list).to_string()),
    ]
}

/// The places of an event that are replaced.
const POINTERS: [&str; 24] = [
    "/body",
    "/isBase64Encoded",
    "/headers",
    "/headers/content-type",
    "/headers/content-encoding",
    "/headers/accept-encoding",
    "/headers/x-request-id",
    "/headers/origin",
    "/multiValueHeaders",
    "/multiValueHeaders/content-type",
    "/path",
    "/rawPath",
    "/rawQueryString",
    "/queryStringParameters",
    "/cookies",
    "/resource",
    "/routeKey",
    "/pathParameters",
    "/requestContext/stage",
    "/requestContext/path",
    "/requestContext/http/path",
    "/requestContext/http/protocol",
    "/version",
    "/stageVariables",
];

/// Sets a member, and the objects that contain it.
fn set(event: &mut Value, pointer: &str, value: Value) {
    let mut place = event;
    for name in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    *place = value;
}

/// Bodies, those of the fuzz target `body` included.
fn bodies() -> Vec<Vec<u8>> {
    let plain = br#"{"inputs": "dog", "input": ["dog"], "ids": [1, 2], "prompt": "dog"}"#;
    let mut bodies = vec![plain.to_vec()];
    for file in std::fs::read_dir(repository("fuzz/seeds/body")).unwrap() {
        // The first byte selects a route.
        bodies.push(std::fs::read(file.unwrap().path()).unwrap().split_off(1));
    }
    bodies
}

/// More cases than usual; `PROPTEST_CASES` sets another number.
fn config() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(2_000),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_http_event_is_answered_with_an_http_response(
        form in select(&FORMS[..]),
        method in select(&["GET", "POST", "OPTIONS", "HEAD", "PUT", "X"][..]),
        path in select(&["/", "/embed", "/health", "/v1/models/a", "/v1/embeddings", "/none"][..]),
        changes in proptest::collection::vec((select(&POINTERS[..]), odd_value()), 0..4),
    ) {
        let mut event = form.event(method, path, &[JSON], br#"{"inputs": "dog", "input": "dog"}"#);
        for (number, (pointer, _)) in changes.iter().enumerate() {
            // `version` decides whether an event is one of payload 2.0.
            if !(*pointer == "/version" && form == Form::V2) {
                set(&mut event, pointer, json!(format!("CHANGE-{number}")));
            }
        }
        let mut text = event.to_string();
        for (number, (_, value)) in changes.iter().enumerate() {
            text = text.replace(&format!("\"CHANGE-{number}\""), value);
        }
        let response = handle(&handler(), text.as_bytes());
        let response = response.map_err(|code| TestCaseError::fail(format!("{code}: {text}")))?;
        let status = response["statusCode"].as_u64();
        prop_assert!(status.is_some_and(|status| (200..500).contains(&status)), "{response} {text}");
    }

    #[test]
    fn a_body_is_answered_with_an_http_response(
        form in select(&FORMS[..]),
        path in select(&["/", "/embed", "/v1/embeddings", "/search", "/decode", "/api/embed"][..]),
        encoding in select(&["identity", "gzip", "zstd", "x-gzip", "br", "gzip, gzip"][..]),
        body in select(bodies()),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        is_base64: bool,
    ) {
        let mut body = body;
        for (at, byte) in damages {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let mut event = form.event("POST", path, &[JSON, ("content-encoding", encoding)], &body);
        event["isBase64Encoded"] = json!(is_base64);
        let response = handle(&handler(), event.to_string().as_bytes());
        let response = response.map_err(|code| TestCaseError::fail(format!("{code}: {event}")))?;
        let status = response["statusCode"].as_u64();
        prop_assert!(status.is_some_and(|status| (200..500).contains(&status)), "{response} {event}");
    }

    #[test]
    fn any_bytes_are_answered_or_refused_with_a_code(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        form in select(&FORMS[..]),
        place in any::<prop::sample::Index>(),
    ) {
        let mut event = form.event("POST", "/embed", &[JSON], b"{}").to_string().into_bytes();
        let start = place.index(event.len());
        let end = (start + bytes.len()).min(event.len());
        event.splice(start..end, bytes.iter().copied());
        for event in [&event, &bytes] {
            let answer = handle(&handler(), event);
            prop_assert!(answer.as_ref().err().is_none_or(|code| code != "internal.panic"), "{answer:?}");
        }
    }
}
