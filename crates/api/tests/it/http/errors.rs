//! Every error has its status and code, in the format of the route.

use super::*;

#[test]
fn an_invalid_request_has_its_status_in_each_dialect() {
    let long = "a".repeat(2_001);
    let (many, tokens) = (vec!["a"; 61], "a ".repeat(300));
    // An invalid value of `inputs`, the status on routes of text-embeddings-inference, and the code.
    let cases = [
        (json!(1), 422, "request.wrong_type"),
        (json!([]), 422, "request.no_texts"),
        (json!(["a", " "]), 422, "request.empty_text"),
        (json!(["a", "\0"]), 422, "request.empty_text"),
        (json!(["a", "\u{200b}"]), 422, "request.empty_text"),
        (json!(many), 413, "request.too_many_texts"),
        (json!(["a", long]), 413, "request.text_too_long"),
    ];
    let router = fake();
    for (texts, status, code) in cases {
        let body = json!({"inputs": texts, "truncate": false});
        let reply = call(&router, post("/embed", body.to_string()));
        assert_eq!((reply.status, reply.error(Dialect::Tei).0.as_str()), (status, code));
        for path in ["/v1/embeddings", "/embeddings"] {
            let body = json!({"input": texts, "truncate": false});
            let reply = call(&router, post(path, body.to_string()));
            let (found, _) = reply.error(Dialect::OpenAi);
            assert_eq!((reply.status, found.as_str()), (400, code), "{path}");
            let param = reply.json()["error"]["param"].as_str().unwrap().to_owned();
            assert!(["input", "input[1]"].contains(&param.as_str()), "{param}");
        }
    }
    let body = json!({"inputs": tokens, "truncate": false});
    let reply = call(&router, post("/embed", body.to_string()));
    let (code, message) = reply.error(Dialect::Tei);
    assert_eq!((reply.status, code.as_str()), (413, "request.too_many_tokens"));
    assert_eq!(
        message,
        "the text inputs has 302 tokens; the limit is 256 and truncation is disabled"
    );
    for path in ["/embed", "/", "/v1/embeddings", "/v2/rerank"] {
        for body in ["", "{", "{\"inputs\": \"\\ud80\"}", "\u{feff}"] {
            let reply = call(&router, post(path, body));
            let (code, _) = reply.error(Dialect::from_path(path));
            assert_eq!((reply.status, code.as_str()), (400, "request.invalid_json"), "{path}");
        }
    }
    let reply = call(&router, post("/", "{}"));
    assert_eq!(
        (reply.status, reply.error(Dialect::Tei).0.as_str()),
        (422, "request.unknown_event")
    );
    let reply = call(&router, post("/predict", json!({"inputs": ["a", "b"]}).to_string()));
    let code = reply.error(Dialect::Tei).0;
    assert_eq!((reply.status, code.as_str()), (404, "request.no_cross_encoder"));
}

#[test]
fn an_unknown_path_has_the_error_format_of_its_prefix() {
    let router = fake();
    let cases = [
        ("/nothing", Dialect::Tei),
        ("/embed/nothing/", Dialect::Tei),
        ("/EMBED", Dialect::Tei),
        ("/v1/nothing", Dialect::OpenAi),
        ("/v2/nothing/", Dialect::OpenAi),
        ("//v2/nothing", Dialect::OpenAi),
    ];
    for (path, dialect) in cases {
        for request in [get(path), post(path, "{}")] {
            let reply = call(&router, request);
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(reply.error(dialect).0, "http.not_found", "{path}");
            assert!(reply.header("x-request-id").is_some());
        }
    }
}

#[test]
fn an_unsupported_method_gets_the_allowed_ones() {
    let router = fake();
    let mut methods: BTreeMap<&str, Vec<Method>> = BTreeMap::new();
    for route in routes() {
        methods.entry(route.path).or_default().push(route.method.clone());
    }
    for (path, methods) in methods {
        let allow = match (methods.contains(&Method::GET), methods.contains(&Method::POST)) {
            (true, true) => "GET, HEAD, OPTIONS, POST",
            (true, false) => "GET, HEAD, OPTIONS",
            _ => "OPTIONS, POST",
        };
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let equivalent = if method == "HEAD" { "GET" } else { method };
            if methods.iter().any(|method| method == equivalent) {
                continue;
            }
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let reply = call(&router, request);
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
            if method != "HEAD" {
                let (code, message) = reply.error(Dialect::from_path(path));
                assert_eq!(code, "http.method_not_allowed");
                assert!(message.contains(allow), "{message}");
            }
        }
        let request = Request::options(path).body(Body::empty()).unwrap();
        let reply = call(&router, request);
        assert_eq!((reply.status, reply.header("allow")), (204, Some(allow)), "{path}");
    }
}

#[test]
fn a_failed_model_is_500_and_the_service_keeps_running() {
    let zero = fake_service(Constant(0.0), 4, Limits::default());
    let nan = fake_service(Constant(f32::NAN), 4, Limits::default());
    for service in [zero, nan] {
        let router = router(Admission::inline(Arc::new(service)), options());
        let reply = call(&router, post("/embed", r#"{"inputs": "a"}"#));
        let code = reply.error(Dialect::Tei).0;
        assert_eq!((reply.status, code.as_str()), (500, "model.degenerate_embedding"));
        let reply = call(&router, post("/v1/embeddings", r#"{"input": "a"}"#));
        let code = reply.error(Dialect::OpenAi).0;
        assert_eq!((reply.status, code.as_str()), (500, "model.degenerate_embedding"));
    }
    // 4937 is `cat` in the vocabulary.
    let bug = Arc::new(fake_service(PanicsOn(4937), 16, Limits::default()));
    let queued = Admission::queued(Arc::clone(&bug), limits(2, Duration::from_secs(60)));
    for admission in [Admission::inline(bug), queued] {
        let router = router(admission, options());
        for (path, body, dialect) in [
            ("/embed", r#"{"inputs": "cat"}"#, Dialect::Tei),
            ("/v1/embeddings", r#"{"input": "cat"}"#, Dialect::OpenAi),
        ] {
            let reply = call(&router, post(path, body));
            let code = reply.error(dialect).0;
            assert_eq!((reply.status, code.as_str()), (500, "internal.panic"));
        }
        assert_eq!(call(&router, post("/embed", r#"{"inputs": "dog"}"#)).status, 200);
    }
}

#[test]
fn a_response_that_is_too_large_reports_what_fits() {
    let error = ApiError::ReplyTooLarge { bytes: 7_000, limit_bytes: 6_000, items: 10, fit: 8 };
    assert_eq!(error.code().name, "response.too_large");
    for path in ["/embed", "/v1/embeddings"] {
        assert_eq!(error_response(&error, path).status().as_u16(), 413);
    }
    let message = "the response has 7000 bytes; the limit is 6000, and 8 of its 10 items fit";
    assert_eq!(error.to_string(), message);
}
