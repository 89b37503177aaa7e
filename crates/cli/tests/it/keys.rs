//! `--api-key` and `--auto-truncate` of a running server, on every route.

use semblance_api::routes;
use semblance_test_support::cross_encoder_bundle;
use serde_json::{Value, json};

use crate::client::Client;
use crate::serve;

/// The routes that need no key.
const EXEMPT: [&str; 4] = ["/health", "/healthz", "/ping", "/metrics"];

/// Every route: method and path.
fn every_route() -> Vec<(String, String)> {
    let own = routes().map(|route| (route.method.to_string(), route.path.replace("{model}", "m")));
    own.chain([("GET".to_owned(), "/metrics".to_owned())]).collect()
}

#[test]
fn every_route_but_health_and_metrics_needs_one_of_the_keys() {
    let server = serve(&["--api-key", "first,second", "--api-key", "third"]);
    let client = Client::new(&server);
    let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let body = if method == "POST" { "{}" } else { "" };
        let (response, body) = client.request(method, path, headers, body);
        if response.status() == 401 {
            let has_code = body.contains("http.unauthorized");
            assert!(has_code || method == "HEAD", "{method} {path}: {body}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
        response.status().as_u16()
    };
    let wrong = [
        ("authorization", "Bearer wrong"),
        ("authorization", "Bearer "),
        ("authorization", "first"),
        ("authorization", "Basic first"),
        ("authorization", "Bearer first,second"),
        ("x-api-key", "wrong"),
        ("x-api-key", ""),
        ("x-api-key", "firs"),
        ("x-api-key", "firstt"),
        ("api-key", "first"),
    ];
    let right = [
        ("authorization", "Bearer first"),
        ("Authorization", "bearer second"),
        ("x-api-key", "second"),
        ("X-API-Key", "third"),
    ];
    for (method, path) in every_route() {
        let is_exempt = EXEMPT.contains(&path.as_str());
        for slashes in [path.clone(), format!("{path}/"), format!("/{path}")] {
            let found = status(&method, &slashes, &[]);
            assert_eq!(found == 401, !is_exempt, "{method} {slashes}: {found}");
            assert_ne!(found, 404, "{method} {slashes}");
        }
        for header in wrong {
            let found = status(&method, &path, &[header]);
            assert_eq!(found == 401, !is_exempt, "{method} {path} {header:?}: {found}");
        }
        for header in right {
            assert_ne!(status(&method, &path, &[header]), 401, "{method} {path} {header:?}");
        }
        // One right header suffices.
        assert_ne!(status(&method, &path, &[wrong[0], ("x-api-key", "first")]), 401);
    }
    for method in ["HEAD", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(status(method, "/embed", &[]), 401, "{method}");
    }
    assert_eq!(status("GET", "/none", &[]), 401);
    assert_eq!(status("GET", "/none", &[right[0]]), 404);
}

#[test]
fn a_preflight_request_needs_no_key() {
    let server = serve(&["--api-key", "first", "--cors-origin", "https://example.com"]);
    let client = Client::new(&server);
    let preflight = [
        ("origin", "https://example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-api-key"),
    ];
    let (response, _) = client.request("OPTIONS", "/v1/embeddings", &preflight, "");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-headers"], "x-api-key");
    let (response, _) = client.request("POST", "/v1/embeddings", &preflight[..1], "{}");
    assert_eq!(response.status(), 401);
    // A page can read why.
    assert_eq!(response.headers()["access-control-allow-origin"], "https://example.com");
}

#[test]
fn keys_come_from_the_environment_and_never_appear_in_the_log() {
    let keys = |value: &str| {
        let program = env!("CARGO_BIN_EXE_semblance").as_ref();
        let mut command = semblance_test_support::Server::command(program, &[]);
        command.env("SEMBLANCE_API_KEY", value);
        semblance_test_support::Server::start(command)
    };
    let mut server = keys("a-secret, another-secret").unwrap();
    let client = Client::new(&server);
    let status =
        |headers: &[(&str, &str)]| client.request("GET", "/info", headers, "").0.status().as_u16();
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("x-api-key", "a-secret")]), 200);
    assert_eq!(status(&[("authorization", "Bearer another-secret")]), 200);
    assert_eq!(status(&[("authorization", "Bearer a-wrong-secret")]), 401);
    assert!(server.stop().unwrap().success());
    assert!(server.log().text().contains("http.unauthorized"));
    assert!(!server.log().text().contains("secret"), "{}", server.log().text());
    for invalid in [" ", ",", "a,,b", "with blank"] {
        assert!(keys(invalid).is_err(), "{invalid:?} was accepted");
        let program = env!("CARGO_BIN_EXE_semblance").as_ref();
        let mut command = semblance_test_support::Server::command(program, &[]);
        let output = command.env("SEMBLANCE_API_KEY", invalid).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("config.invalid"), "{invalid:?}: {error}");
        assert!(!error.contains("with blank"), "{error}");
    }
    // As for every variable, an empty value counts as absent. An empty argument is an error.
    assert_eq!(Client::new(&keys("").unwrap()).request("GET", "/info", &[], "").0.status(), 200);
    let empty = crate::program::error(&["serve", "--port", "0", "--api-key", ""]);
    assert!(empty.contains("config.invalid"), "{empty}");
}

/// A long text in the body of each route that truncates.
fn long_requests() -> Vec<(&'static str, Value, bool)> {
    let long = "word ".repeat(300);
    // Whether the default of the route is that of `--auto-truncate`.
    vec![
        ("/embed", json!({"inputs": long}), true),
        ("/embed", json!({"inputs": [long]}), true),
        ("/", json!({"inputs": long}), true),
        ("/invocations", json!({"inputs": long}), true),
        ("/invocations", json!({"operation": "embed", "inputs": long}), true),
        ("/similarity", json!({"inputs": {"source_sentence": "a", "sentences": [long]}}), true),
        ("/rerank", json!({"query": "a", "texts": [long]}), true),
        ("/predict", json!({"inputs": ["a", long]}), true),
        ("/", json!({"query_from_app": "a", "actual_queries": [long]}), false),
        ("/v1/embeddings", json!({"input": long}), false),
        ("/embeddings", json!({"input": [long]}), false),
        ("/rerank", json!({"query": "a", "documents": [long]}), false),
        ("/v1/rerank", json!({"query": "a", "documents": [long]}), false),
        ("/v2/rerank", json!({"query": "a", "documents": [long]}), false),
        ("/v1/embed", json!({"texts": [long]}), false),
        ("/v2/embed", json!({"texts": [long]}), false),
        ("/api/embed", json!({"input": long}), false),
        ("/api/embeddings", json!({"prompt": long}), false),
    ]
}

#[test]
fn auto_truncate_is_the_default_of_the_routes_of_text_embeddings_inference() {
    let cross_encoder = cross_encoder_bundle("cross").display().to_string();
    let with = |flags: &[&str]| {
        let mut arguments = vec!["--cross-encoder", &cross_encoder];
        arguments.extend(flags);
        serve(&arguments)
    };
    for (flags, is_on) in [
        (&[][..], true),
        (&["--auto-truncate"], true),
        (&["--auto-truncate", "true"], true),
        (&["--auto-truncate", "false"], false),
        (&["--auto-truncate=false"], false),
    ] {
        let server = with(flags);
        let client = Client::new(&server);
        let info: Value = serde_json::from_str(&client.get("/info")).unwrap();
        assert_eq!(info["auto_truncate"], is_on, "{flags:?}");
        for (path, body, follows) in long_requests() {
            let (response, text) = client.request("POST", path, &[], &body.to_string());
            let is_truncated = is_on || !follows;
            assert_eq!(response.status() == 200, is_truncated, "{flags:?} {path}: {text}");
            assert_eq!(response.headers().contains_key("x-semblance-truncated"), is_truncated);
            assert_eq!(text.contains("request.too_many_tokens"), !is_truncated, "{path}: {text}");
            if follows {
                // The option of a request has precedence.
                let mut asked = body.clone();
                let place = match path {
                    "/similarity" => &mut asked["parameters"]["truncate"],
                    _ => &mut asked["truncate"],
                };
                *place = json!(!is_on);
                let (response, text) = client.request("POST", path, &[], &asked.to_string());
                assert_eq!(response.status() == 200, !is_on, "{flags:?} {path}: {text}");
            }
        }
    }
}
