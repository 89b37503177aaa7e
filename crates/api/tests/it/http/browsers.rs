//! Browsers: the demo page and CORS.

use super::*;

#[test]
fn a_page_of_another_site_must_declare_json() {
    let router = fake();
    let body = r#"{"inputs": "a"}"#;
    let status = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/embed");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        call(&router, request.body(Body::from(body)).unwrap()).status
    };
    let (origin, json) = (("origin", "https://evil.com"), ("content-type", "application/json"));
    assert_eq!(status(&[]), 200, "curl and scripts");
    assert_eq!(status(&[origin]), 415);
    assert_eq!(status(&[("sec-fetch-site", "cross-site")]), 415);
    assert_eq!(status(&[origin, json]), 200, "after a preflight");
    assert_eq!(status(&[origin, ("content-type", "text/plain")]), 415);
}

#[test]
fn a_server_on_loopback_refuses_pages_under_another_name() {
    let service = Arc::new(fake_service(OneHot::default(), 16, Limits::default()));
    let status = |cors: &[&str], host: &str, origin: Option<&str>| {
        let cors_origins = cors.iter().map(ToString::to_string).collect();
        let options = HttpOptions { cors_origins, is_loopback: true, ..HttpOptions::default() };
        let router = router(Admission::inline(Arc::clone(&service)), options);
        let mut request = Request::post("/embed").header("host", host);
        request = request.header("content-type", "application/json");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        call(&router, request.body(Body::from(r#"{"inputs": "a"}"#)).unwrap()).status
    };
    let evil = "http://evil.com:8080";
    assert_eq!(status(&[], "evil.com:8080", Some(evil)), 403);
    assert_eq!(status(&[], "evil.com:8080", None), 200, "a proxy");
    assert_eq!(status(&[], "localhost:8080", Some("http://localhost:8080")), 200, "the page");
    assert_eq!(status(&["https://app.com"], "app.com", Some("https://app.com")), 200);
    assert_eq!(status(&["https://app.com"], "evil.com:8080", Some(evil)), 403);
}

#[test]
fn cors_allows_only_configured_origins() {
    let with = |origins: &[&str]| {
        let service = fake_service(OneHot::default(), 16, Limits::default());
        let cors_origins = origins.iter().map(ToString::to_string).collect();
        router(Admission::inline(Arc::new(service)), HttpOptions { cors_origins, ..options() })
    };
    let ask = |router: &Router, origin: &str| {
        let request = Request::post("/embed").header("origin", origin);
        let request = request.header("content-type", "application/json");
        call(router, request.body(Body::from(r#"{"inputs": "a"}"#)).unwrap())
    };
    let preflight = |router: &Router, origin: &str| {
        let request = Request::options("/v1/embeddings")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-stainless-lang");
        call(router, request.body(Body::empty()).unwrap())
    };
    const ALLOWED: &str = "access-control-allow-origin";
    let none = with(&[]);
    assert_eq!(ask(&none, "https://a.example").header(ALLOWED), None);
    assert_eq!(preflight(&none, "https://a.example").header(ALLOWED), None);
    let any = with(&["*"]);
    assert_eq!(ask(&any, "https://a.example").header(ALLOWED), Some("*"));
    let two = with(&["https://a.example", "http://localhost:3000"]);
    for origin in ["https://a.example", "http://localhost:3000"] {
        let reply = ask(&two, origin);
        assert_eq!((reply.status, reply.header(ALLOWED)), (200, Some(origin)));
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for name in reply.headers.keys().filter(|name| name.as_str().starts_with("x-")) {
            let is_ours = name != "x-content-type-options";
            assert!(!is_ours || exposed.split(',').any(|exposed| exposed == name), "{name}");
        }
        assert!(exposed.contains("x-semblance-truncated"));
        let reply = preflight(&two, origin);
        assert_eq!((reply.status, reply.header(ALLOWED)), (200, Some(origin)));
        let methods = reply.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("POST") && methods.contains("GET"), "{methods}");
        let headers = reply.header("access-control-allow-headers");
        assert_eq!(headers, Some("content-type,x-stainless-lang"));
        assert_eq!(reply.header("access-control-max-age"), Some("3600"));
    }
    for other in ["https://a.example.evil.example", "http://a.example", "null"] {
        assert_eq!(ask(&two, other).header(ALLOWED), None, "{other}");
        assert_eq!(preflight(&two, other).header(ALLOWED), None, "{other}");
    }
}

#[test]
fn a_browser_gets_the_page_with_a_strict_policy() {
    let router = fake();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let request = Request::get("/").header("accept", browser).body(Body::empty()).unwrap();
    let page = call(&router, request);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.body.starts_with(b"<!doctype html>"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("vary"), Some("accept"));
    for accept in [None, Some("*/*"), Some("application/json")] {
        let request = accept
            .iter()
            .fold(Request::get("/"), |request, accept| request.header("accept", *accept));
        let reply = call(&router, request.body(Body::empty()).unwrap());
        assert_eq!(reply.json()["model_id"], "fake");
        assert_eq!(reply.header("vary"), Some("accept"), "caches must keep the variants apart");
    }
}
