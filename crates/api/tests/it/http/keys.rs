//! API keys.

use semblance_api::http::ApiKeys;

use super::*;

fn locked() -> Router {
    let service = fake_service(OneHot::default(), 16, Limits::default());
    let api_keys = ApiKeys::parse("SEMBLANCE_API_KEY", "first,second").unwrap();
    let options = HttpOptions {
        api_keys,
        cors_origins: vec!["https://example.com".to_owned()],
        ..HttpOptions::default()
    };
    router(Admission::inline(Arc::new(service)), options)
}

#[test]
fn a_request_needs_one_of_the_keys() {
    let router = locked();
    for route in routes() {
        let path = route.path.replace("{model}", "fake");
        let request = |headers: &[(&str, &str)]| {
            let builder = Request::builder().method(&route.method).uri(&path);
            let builder = headers
                .iter()
                .fold(builder, |builder, (name, value)| builder.header(*name, *value));
            builder.body(Body::from("{}")).unwrap()
        };
        let is_exempt = ["/health", "/healthz", "/ping"].contains(&route.path);
        for headers in [&[][..], &[("authorization", "Bearer third")], &[("x-api-key", "firs")]] {
            let reply = call(&router, request(headers));
            if is_exempt {
                assert_eq!(reply.status, 200, "{path}");
                continue;
            }
            assert_eq!(reply.status, 401, "{path}");
            let (code, message) = reply.error(Dialect::from_path(route.path));
            assert_eq!(code, "http.unauthorized");
            assert!(!message.contains("third") && !message.contains("first"), "{message}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            assert!(reply.header("x-request-id").is_some());
        }
        for headers in [("authorization", "Bearer first"), ("x-api-key", "second")] {
            assert_ne!(call(&router, request(&[headers])).status, 401, "{path}");
        }
    }
    for path in ["/nothing", "//embed", "/embed/", "//v1/embeddings"] {
        assert_eq!(call(&router, post(path, "{}")).status, 401, "{path}");
    }
    for path in ["/health/", "//health", "/ping//"] {
        assert_eq!(call(&router, get(path)).status, 200, "{path}");
    }
}

#[test]
fn a_preflight_request_needs_no_key() {
    let request = Request::options("/embed")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
        .body(Body::empty())
        .unwrap();
    let reply = call(&locked(), request);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-headers"), Some("authorization"));
    let request = Request::post("/embed").header("origin", "https://example.com");
    let reply = call(&locked(), request.body(Body::from("{}")).unwrap());
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://example.com"));
}
