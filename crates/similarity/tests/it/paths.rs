//! The path of HTTP events: what a platform puts before it is removed, and nothing else.

use semblance_similarity::Handler;
use serde_json::{Value, json};

use crate::http_event::{FORMS, Form, JSON};
use crate::http_events::{answer, body, handler};

const REQUEST: &[u8] = br#"{"inputs": "London"}"#;

fn status(handler: &Handler, event: &Value) -> u64 {
    answer(handler, event)["statusCode"].as_u64().unwrap()
}

/// A REST API with this resource, on the default domain or on a custom one.
fn rest(resource: &str, proxy: Option<&str>, path: &str, full: &str) -> Value {
    let mut event = Form::V1.event("POST", path, &[JSON], REQUEST);
    event["resource"] = json!(resource);
    event["pathParameters"] = proxy.map_or(json!(null), |proxy| json!({"proxy": proxy}));
    let context = event["requestContext"].as_object_mut().unwrap();
    context.insert("resourcePath".into(), json!(resource));
    context.insert("path".into(), json!(full));
    context.insert("stage".into(), json!("prod"));
    event
}

/// An HTTP API with this route and stage.
fn api(key: &str, proxy: Option<&str>, stage: &str, path: &str) -> Value {
    let mut event = Form::V2.event("POST", path, &[JSON], REQUEST);
    event["routeKey"] = json!(key);
    if let Some(proxy) = proxy {
        event["pathParameters"] = json!({"proxy": proxy});
    }
    event["requestContext"]["stage"] = json!(stage);
    event
}

#[test]
fn what_the_platform_puts_before_the_path_is_removed() {
    let handler = handler();
    let events = [
        rest("/{proxy+}", Some("embed"), "/embed", "/prod/embed"),
        rest("/{proxy+}", Some("embed"), "/nlp/embed", "/nlp/embed"),
        rest("/{proxy+}", Some("embed"), "/a/b/embed", "/a/b/embed"),
        rest("/nlp/{proxy+}", Some("embed"), "/nlp/embed", "/prod/nlp/embed"),
        rest("/nlp/{proxy+}", Some("embed"), "/base/nlp/embed", "/base/nlp/embed"),
        rest("/embed", None, "/embed", "/prod/embed"),
        rest("/embed", None, "/nlp/embed", "/nlp/embed"),
        rest("/", None, "/nlp", "/nlp"),
        rest("/{proxy+}", Some("embed/"), "/nlp/embed/", "/nlp/embed/"),
        rest("/{proxy+}", None, "/prod/embed", "/prod/embed"),
        api("$default", None, "$default", "/embed"),
        api("$default", None, "prod", "/prod/embed"),
        api("ANY /{proxy+}", Some("embed"), "prod", "/prod/embed"),
        api("ANY /{proxy+}", Some("embed"), "$default", "/nlp/embed"),
        api("POST /nlp/{proxy+}", Some("embed"), "prod", "/prod/nlp/embed"),
        api("POST /embed", None, "prod", "/prod/embed"),
    ];
    for event in events {
        assert_eq!(status(&handler, &event), 200, "{event}");
    }
    // A route that begins with the name of a stage, and a path without a route.
    let stage = api("$default", None, "v1", "/v1/v1/embeddings");
    assert_eq!(body(&answer(&handler, &stage))["error"]["code"], "request.missing_field");
    for event in [
        rest("/{proxy+}", Some("nlp/embed"), "/nlp/embed", "/prod/nlp/embed"),
        rest("/{proxy+}", Some("other"), "/nlp/embed", "/nlp/embed"),
        api("$default", None, "prod", "/production/embed"),
    ] {
        assert_eq!(status(&handler, &event), 404, "{event}");
    }
}

#[test]
fn a_configured_base_path_is_removed() {
    for base in ["/nlp", "nlp/", "/nlp/"] {
        let handler = handler().with_base_path(Some(base.to_owned()));
        for form in FORMS {
            for path in ["/nlp/embed", "/embed", "/nlp", "/"] {
                let event = form.event("POST", path, &[JSON], REQUEST);
                assert_eq!(status(&handler, &event), 200, "{form:?} {path}");
            }
            let event = form.event("POST", "/nlpembed", &[JSON], REQUEST);
            assert_eq!(status(&handler, &event), 404);
        }
    }
}

#[test]
fn slashes_at_the_end_and_repeated_ones_do_not_count() {
    let handler = handler();
    for form in FORMS {
        for path in ["/embed/", "//embed", "//embed//", "/invocations/", "//"] {
            let event = form.event("POST", path, &[JSON], REQUEST);
            assert_eq!(status(&handler, &event), 200, "{form:?} {path}");
        }
        for path in ["/health/", "//health", "/v1/models/", "/v1//models", "//v1/models//"] {
            assert_eq!(
                status(&handler, &form.event("GET", path, &[], b"")),
                200,
                "{form:?} {path}"
            );
        }
    }
}

#[test]
fn the_raw_path_decides() {
    let handler = handler();
    for form in FORMS {
        for path in [
            "/health/../embed",
            "/./embed",
            "/health/%2e%2e/embed",
            "/health%2f..%2fembed",
            "/%65mbed",
            "/embed;x=1",
            "/EMBED",
            "http://example.com/embed",
        ] {
            let event = form.event("POST", path, &[JSON], REQUEST);
            assert_eq!(status(&handler, &event), 404, "{form:?} {path}");
        }
    }
}
