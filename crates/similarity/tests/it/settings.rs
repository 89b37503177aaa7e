//! The environment variables of HTTP events: `SEMBLANCE_API_KEY` and `SEMBLANCE_AUTO_TRUNCATE`.

use semblance_test_support::{Function, Kind, RuntimeApi, bundle, cross_encoder_bundle, library};
use serde_json::{Value, json};

use crate::http_event::{FORMS, Form, JSON};

fn function(variables: &[(&str, &str)]) -> Function {
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_CROSS_ENCODER_BUNDLE", cross_encoder_bundle("cross"))
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .envs(variables.iter().copied());
    Function::start(RuntimeApi::start().unwrap(), command).unwrap()
}

/// Sends an HTTP event; returns the status and the body.
fn send(
    function: &Function,
    form: Form,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> (u64, String) {
    let event = form.event(method, path, headers, body.as_bytes());
    let (kind, response) = function.invoke(event.to_string().as_bytes());
    assert_eq!(kind, Kind::Response, "{response}");
    (response["statusCode"].as_u64().unwrap(), response["body"].as_str().unwrap_or("").to_owned())
}

#[test]
fn http_events_need_one_of_the_keys_and_direct_events_none() {
    let function = function(&[("SEMBLANCE_API_KEY", "first, second")]);
    let embed = ("POST", "/embed");
    let body = json!({"inputs": "a"}).to_string();
    for form in FORMS {
        for header in [
            ("x-none", ""),
            ("x-api-key", "wrong"),
            ("x-api-key", ""),
            ("authorization", "Bearer "),
            ("authorization", "Bearer wrong"),
            ("authorization", "Basic first"),
        ] {
            let (status, text) = send(&function, form, embed, &[JSON, header], &body);
            assert_eq!(status, 401, "{form:?} {header:?} {text}");
            assert!(text.contains("http.unauthorized"), "{text}");
        }
        for header in [
            ("x-api-key", "first"),
            ("X-Api-Key", "second"),
            ("authorization", "Bearer first"),
            ("Authorization", "bearer second"),
        ] {
            let (status, text) = send(&function, form, embed, &[JSON, header], &body);
            assert_eq!(status, 200, "{form:?} {header:?} {text}");
        }
        for path in ["/health", "/healthz", "/ping", "/health/", "//health"] {
            assert_eq!(send(&function, form, ("GET", path), &[], "").0, 200, "{form:?} {path}");
        }
        for path in ["/", "/info", "/v1/models", "/openapi.json", "/embed/", "//embed", "/none"] {
            assert_eq!(send(&function, form, ("GET", path), &[], "").0, 401, "{form:?} {path}");
        }
    }
    let direct = json!({"operation": "embed", "inputs": "a"}).to_string();
    let (kind, rows) = function.invoke(direct.as_bytes());
    assert_eq!((kind, rows[0].as_array().unwrap().len()), (Kind::Response, 384));
}

#[test]
fn auto_truncate_is_the_default_of_the_routes_of_text_embeddings_inference() {
    let long = "word ".repeat(300);
    // Whether the default of the route is that of the variable.
    let requests = [
        ("/embed", json!({"inputs": long}), true),
        ("/", json!({"inputs": long}), true),
        ("/similarity", json!({"inputs": {"source_sentence": "a", "sentences": [long]}}), true),
        ("/rerank", json!({"query": "a", "texts": [long]}), true),
        ("/predict", json!({"inputs": ["a", long]}), true),
        ("/", json!({"query_from_app": "a", "actual_queries": [long]}), false),
        ("/v1/embeddings", json!({"input": long}), false),
        ("/v1/rerank", json!({"query": "a", "documents": [long]}), false),
        ("/v2/embed", json!({"texts": [long]}), false),
        ("/api/embed", json!({"input": long}), false),
    ];
    for (variables, is_on) in [(&[][..], true), (&[("SEMBLANCE_AUTO_TRUNCATE", "false")], false)] {
        let function = function(variables);
        let (_, info) = function.invoke(br#"{"operation": "info"}"#);
        assert_eq!(info["auto_truncate"], is_on);
        for (path, body, follows) in &requests {
            let is_truncated = is_on || !follows;
            let (status, text) =
                send(&function, Form::V2, ("POST", path), &[JSON], &body.to_string());
            assert_eq!(status == 200, is_truncated, "{path}: {text}");
            assert_eq!(text.contains("request.too_many_tokens"), !is_truncated, "{path}: {text}");
        }
        // A direct event follows the same default.
        let direct = json!({"operation": "embed", "inputs": long});
        let (kind, answer) = function.invoke(direct.to_string().as_bytes());
        match is_on {
            true => assert_eq!(kind, Kind::Response, "{answer}"),
            false => assert_eq!(answer["errorType"], "request.too_many_tokens"),
        }
        let event: Value = json!({"query_from_app": "a", "actual_queries": [long]});
        let (kind, answer) = function.invoke(event.to_string().as_bytes());
        assert_eq!((kind, &answer["Truncated"]["actual_queries"]), (Kind::Response, &json!([0])));
    }
}
