//! The router's contract: a request in, a status, headers and a body out, in each dialect.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use ndarray::Array3;
use semblance::api::{Form, Limits, Operation};
use semblance::http::{
    Answered, Dialect, Failure, Gate, GateLimits, HttpError, HttpOptions, ROUTES, router,
};
use semblance::infer::{Infer, InferError, Inputs};
use semblance::service::Service;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::support::{
    Constant, OneHot, PanicsOn, assert_close, bundle, cross_encoder_bundle, service_named,
    service_on, start,
};

const MAX_BODY_BYTES: usize = 100_000;

/// A service on the real model and a cross-encoder.
fn service() -> &'static Arc<Service> {
    static SERVICE: OnceLock<Arc<Service>> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let cross_encoder = cross_encoder_bundle("cross");
        Arc::new(start(&bundle(), Some(&cross_encoder), NonZeroUsize::MIN))
    })
}

fn options() -> HttpOptions {
    HttpOptions { cors_origins: Vec::new(), max_body_bytes: MAX_BODY_BYTES }
}

/// The routes over the real model.
fn real() -> Router {
    router(Gate::inline(Arc::clone(service())), options())
}

/// The routes over a fake model, which is as quick as none.
fn fake() -> Router {
    let service = service_on(OneHot::default(), 16, Limits { texts: 40, text_bytes: 2_000 });
    router(Gate::inline(Arc::new(service)), options())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A response, its body read to the end.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    answered: Option<Answered>,
    failure: Option<Failure>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code and message of an error, whose body is asserted whole.
    #[track_caller]
    fn error(&self, dialect: Dialect) -> (String, String) {
        let body = self.json();
        let (code, message) = match dialect {
            Dialect::Tei => (&body["error_type"], &body["error"]),
            Dialect::OpenAi => (&body["error"]["code"], &body["error"]["message"]),
        };
        let kind = match self.status {
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        let whole = match dialect {
            Dialect::Tei => json!({"error": message, "error_type": code}),
            Dialect::OpenAi => {
                let param = &body["error"]["param"];
                json!({"error": {"message": message, "type": kind, "code": code, "param": param}})
            }
        };
        assert_eq!(body, whole);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let failure = self.failure.as_ref().unwrap();
        assert_eq!((json!(failure.code), json!(failure.error)), (code.clone(), message.clone()));
        (code.as_str().unwrap().to_owned(), message.as_str().unwrap().to_owned())
    }
}

async fn send(router: Router, request: Request<Body>) -> Reply {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        answered: parts.extensions.get().cloned(),
        failure: parts.extensions.get().cloned(),
        body: body.collect().await.unwrap().to_bytes(),
    }
}

fn call(router: &Router, request: Request<Body>) -> Reply {
    runtime().block_on(send(router.clone(), request))
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    with_headers(path, &[("content-type", "application/json")], body)
}

fn with_headers(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

/// Each route with POST, how its body is read, and a body.
fn operations() -> Vec<(&'static str, Form, Value)> {
    let (query, texts) = ("How many people live in London?", ["It has a river", "9 million", "It"]);
    let event = json!({"query_from_app": query, "actual_queries": texts, "top_k": 2});
    let scores = json!({"inputs": {"source_sentence": query, "sentences": texts}});
    let embed = json!({"inputs": texts, "dimensions": 8});
    let open_ai = json!({"input": texts, "model": "any", "user": "any"});
    let cohere = json!({"query": query, "documents": [texts[0], {"text": texts[1]}, texts[2]],
                        "top_n": 2, "return_documents": true});
    vec![
        ("/", Form::Invocation, event.clone()),
        ("/", Form::Invocation, embed.clone()),
        ("/", Form::Invocation, scores.clone()),
        ("/", Form::Invocation, json!({"operation": "info"})),
        ("/invocations", Form::Invocation, event),
        ("/similarity", Form::Similarity, scores),
        ("/embed", Form::Embed, embed),
        ("/rerank", Form::Rerank, json!({"query": query, "texts": texts, "return_text": true})),
        ("/predict", Form::Predict, json!({"inputs": [query, texts[0]]})),
        ("/predict", Form::Predict, json!({"inputs": [[query, texts[0]], [query, texts[1]]]})),
        ("/tokenize", Form::Tokenize, json!({"inputs": texts})),
        ("/v1/embeddings", Form::OpenAiEmbeddings, open_ai.clone()),
        ("/embeddings", Form::OpenAiEmbeddings, open_ai),
        ("/v1/rerank", Form::CohereRerank, cohere.clone()),
        ("/v2/rerank", Form::CohereRerank, cohere),
    ]
}

#[test]
fn every_operation_is_answered_as_the_service_answers_it() {
    let router = real();
    let mut paths = BTreeSet::new();
    for (path, form, body) in operations() {
        let operation = Operation::decode(body.clone(), form, service().limits()).unwrap();
        let (expected, usage) = service().answer(&operation).unwrap();
        let reply = call(&router, post(path, body.to_string()));
        assert_eq!(reply.status, 200, "{path} {reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_close(&reply.json(), &serde_json::to_value(&expected).unwrap());
        let answered = reply.answered.unwrap();
        assert_eq!(answered.items, expected.items(), "{path}");
        assert_eq!(answered.usage.prompt_tokens, usage.prompt_tokens, "{path}");
        assert_eq!(answered.dialect, Dialect::of(path));
        paths.insert(path);
    }
    let routes = ROUTES.iter().filter(|route| route.method() == Method::POST);
    assert_eq!(paths, routes.map(|route| route.path).collect(), "none is left out");
}

#[test]
fn what_asks_nothing_of_the_model_is_told() {
    let router = real();
    let about = serde_json::to_value(service().about()).unwrap();
    let models = serde_json::to_value(service().models()).unwrap();
    assert_eq!(models["data"].as_array().unwrap().len(), 2, "both models");
    let cases = [
        ("/", about.clone()),
        ("/info", about),
        ("/health", json!({"status": "ok"})),
        ("/ping", json!({"status": "ok"})),
        ("/v1/models", models.clone()),
        ("/v1/models/all-minilm-l6-v2", models["data"][0].clone()),
    ];
    for (path, expected) in cases {
        let reply = call(&router, get(path));
        assert_eq!((reply.status, reply.json()), (200, expected), "{path}");
    }
}

#[test]
fn a_model_is_found_by_a_name_with_a_slash_however_it_is_written() {
    let service = service_named("maker/model", OneHot::default(), 16, Limits::default());
    let router = router(Gate::inline(Arc::new(service)), options());
    for path in ["/v1/models/maker%2Fmodel", "/v1/models/maker/model"] {
        let reply = call(&router, get(path));
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!("maker/model")), "{path}");
    }
    for path in ["/v1/models/maker", "/v1/models/model", "/v1/models/%FF"] {
        let reply = call(&router, get(path));
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.error(Dialect::OpenAi).0, "http.unknown_model", "{path}");
    }
}

#[test]
fn numbers_in_base64_are_the_same_numbers() {
    let router = real();
    let embed = |format: &str| {
        let body = json!({"input": ["London", "It has a river"], "encoding_format": format});
        let mut reply = call(&router, post("/v1/embeddings", body.to_string())).json();
        let rows: Vec<Value> =
            (0..2).map(|index| reply["data"][index]["embedding"].take()).collect();
        (rows, reply)
    };
    let (numbers, rest) = embed("float");
    let (packed, rest_packed) = embed("base64");
    assert_eq!(rest, rest_packed);
    for (numbers, packed) in numbers.iter().zip(packed) {
        let bytes = STANDARD.decode(packed.as_str().unwrap()).unwrap();
        let unpacked: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let numbers: Vec<f32> = serde_json::from_value(numbers.clone()).unwrap();
        assert_eq!(unpacked.len(), 384);
        assert_eq!(numbers, unpacked, "bit for bit: the numbers are written to read back");
    }
}

#[test]
fn a_bad_request_has_its_status_in_each_dialect() {
    let long = "a".repeat(2_001);
    let (many, tokens) = (vec!["a"; 41], "a ".repeat(300));
    // A fault of `inputs`, the status on text-embeddings-inference's routes, and the code.
    let cases = [
        (json!(1), 422, "request.wrong_type"),
        (json!([]), 422, "request.no_texts"),
        (json!(["a", " "]), 422, "request.empty_text"),
        (json!(["a", "\0"]), 422, "request.nul_character"),
        (json!(many), 413, "request.too_many_texts"),
        (json!(["a", long]), 413, "request.text_too_long"),
    ];
    let router = fake();
    for (texts, status, code) in cases {
        let reply = call(&router, post("/embed", json!({"inputs": texts}).to_string()));
        assert_eq!((reply.status, reply.error(Dialect::Tei).0.as_str()), (status, code));
        for path in ["/v1/embeddings", "/embeddings"] {
            let reply = call(&router, post(path, json!({"input": texts}).to_string()));
            let (found, _) = reply.error(Dialect::OpenAi);
            assert_eq!((reply.status, found.as_str()), (400, code), "{path}");
            let param = reply.json()["error"]["param"].as_str().unwrap().to_owned();
            assert!(["input", "input[1]"].contains(&param.as_str()), "{param}");
        }
    }
    let reply = call(&router, post("/embed", json!({"inputs": tokens}).to_string()));
    let (code, message) = reply.error(Dialect::Tei);
    assert_eq!((reply.status, code.as_str()), (413, "request.too_many_tokens"));
    assert_eq!(message, "the text inputs has 302 tokens, the limit is 256 and truncate is false");
    for path in ["/embed", "/", "/v1/embeddings", "/v2/rerank"] {
        for body in ["", "{", "{\"inputs\": \"\\ud800\"}", "\u{feff}{}"] {
            let reply = call(&router, post(path, body));
            let (code, _) = reply.error(Dialect::of(path));
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
fn an_unknown_path_is_not_found_in_the_words_of_its_prefix() {
    let router = fake();
    let cases = [
        ("/nothing", Dialect::Tei),
        ("/embed/", Dialect::Tei),
        ("/EMBED", Dialect::Tei),
        ("/v1/nothing", Dialect::OpenAi),
        ("/v1/models/", Dialect::OpenAi),
        ("/v2/embed", Dialect::OpenAi),
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
fn a_path_names_the_methods_it_is_for() {
    let router = fake();
    let mut methods: BTreeMap<&str, Vec<Method>> = BTreeMap::new();
    for route in &ROUTES {
        methods.entry(route.path).or_default().push(route.method());
    }
    for (path, methods) in methods {
        let allow = match (methods.contains(&Method::GET), methods.contains(&Method::POST)) {
            (true, true) => "GET, HEAD, OPTIONS, POST",
            (true, false) => "GET, HEAD, OPTIONS",
            _ => "OPTIONS, POST",
        };
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let as_if = if method == "HEAD" { "GET" } else { method };
            if methods.iter().any(|method| method == as_if) {
                continue;
            }
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let reply = call(&router, request);
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
            if method != "HEAD" {
                let (code, message) = reply.error(Dialect::of(path));
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
fn head_is_get_without_the_body() {
    let router = fake();
    for path in ["/", "/info", "/health", "/ping", "/v1/models", "/openapi.json"] {
        let head = call(&router, Request::head(path).body(Body::empty()).unwrap());
        let get = call(&router, get(path));
        assert_eq!((head.status, get.status), (200, 200), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        for name in ["content-type", "content-length", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
}

#[test]
fn a_body_that_is_not_json_in_utf8_is_refused() {
    let router = fake();
    let body = r#"{"inputs": "a"}"#;
    let status = |headers: &[(&str, &str)]| {
        let reply = call(&router, with_headers("/embed", headers, body));
        if reply.status != 200 {
            assert_eq!(reply.error(Dialect::Tei).0, "http.unsupported_media_type");
        }
        reply.status
    };
    let taken = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; charset=us-ascii; profile=x",
        "application/vnd.api+json",
    ];
    for media_type in taken {
        assert_eq!(status(&[("content-type", media_type)]), 200, "{media_type}");
    }
    assert_eq!(status(&[]), 200, "JSON where nothing is said");
    let refused = [
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/json",
        "application/octet-stream",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "",
    ];
    for media_type in refused {
        assert_eq!(status(&[("content-type", media_type)]), 415, "{media_type}");
    }
    for encoding in ["br", "deflate", "compress", "gzip, gzip", "what"] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        assert_eq!(status(&headers), 415, "{encoding}");
    }
    assert_eq!(status(&[("content-encoding", "gzip"), ("content-encoding", "gzip")]), 415);
    assert_eq!(status(&[("content-encoding", "identity")]), 200);
    let reply = call(&router, with_headers("/v1/embeddings", &[("content-type", "text/a")], body));
    assert_eq!(reply.status, 415);
    assert_eq!(reply.error(Dialect::OpenAi).0, "http.unsupported_media_type");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A way to pack bytes, by the name it has in a header.
type Packing = (&'static str, fn(&[u8]) -> Vec<u8>);

const PACKINGS: [Packing; 2] = [("gzip", gzip), ("zstd", zstd)];

#[test]
fn a_packed_body_is_read() {
    let router = fake();
    let body = r#"{"inputs": ["a", "b"]}"#;
    let plain = call(&router, post("/embed", body));
    let spellings = [("gzip", PACKINGS[0]), ("GZIP", PACKINGS[0]), ("x-gzip", PACKINGS[0])];
    for (spelling, (_, pack)) in spellings.into_iter().chain([("zstd", PACKINGS[1])]) {
        let request =
            with_headers("/embed", &[("content-encoding", spelling)], pack(body.as_bytes()));
        let reply = call(&router, request);
        assert_eq!((reply.status, &reply.body), (200, &plain.body), "{spelling}");
    }
}

#[test]
fn a_body_that_is_not_packed_as_it_says_is_refused() {
    let router = fake();
    for (encoding, pack) in PACKINGS {
        let mut flipped = pack(br#"{"inputs": ["a", "b"]}"#);
        let whole = flipped.clone();
        flipped[0] ^= 0xff;
        let cut = &whole[..whole.len() - 4];
        for (what, bytes) in
            [("flipped", &flipped[..]), ("cut", cut), ("plain", b"{\"inputs\": 1}")]
        {
            let request = with_headers("/embed", &[("content-encoding", encoding)], bytes.to_vec());
            let reply = call(&router, request);
            let (code, message) = reply.error(Dialect::Tei);
            assert_eq!((reply.status, code.as_str()), (400, "http.invalid_encoding"), "{what}");
            assert_eq!(message, format!("the body is not valid {encoding}"));
        }
    }
}

#[test]
fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
    let router = fake();
    // White space around a value is no part of it.
    let value = r#"{"inputs": "a"}"#;
    let body = |bytes: usize| value.to_owned() + &" ".repeat(bytes - value.len());
    for (bytes, expected) in [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)] {
        let body = body(bytes);
        assert_eq!(body.len(), bytes);
        assert_eq!(call(&router, post("/embed", body.clone())).status, expected, "{bytes}");
        for (encoding, pack) in PACKINGS {
            let packed = pack(body.as_bytes());
            assert!(packed.len() < 1_000);
            let reply =
                call(&router, with_headers("/embed", &[("content-encoding", encoding)], packed));
            assert_eq!(reply.status, expected, "{bytes} in {encoding}");
            if expected != 200 {
                let (code, message) = reply.error(Dialect::Tei);
                let limit = "the body has too many bytes when decompressed, the limit is 100000";
                assert_eq!((code.as_str(), message.as_str()), ("http.body_too_large", limit));
            }
        }
    }
    let declared = Request::post("/v1/embeddings").header("content-length", "100001");
    let reply = call(&router, declared.body(Body::empty()).unwrap());
    let (code, message) = reply.error(Dialect::OpenAi);
    assert_eq!((reply.status, code.as_str()), (413, "http.body_too_large"));
    assert_eq!(message, "the body has 100001 bytes, the limit is 100000", "not a byte was read");
}

#[test]
fn a_bomb_does_no_harm() {
    let router = fake();
    let zeros = vec![b' '; 256 << 20];
    // Members that hold nothing: more and more bytes that unpack to none.
    let nothing = gzip(b"").repeat(MAX_BODY_BYTES / 20 + 1);
    let packed = PACKINGS.map(|(encoding, pack)| (encoding, pack(&zeros)));
    for (encoding, bomb) in packed.into_iter().chain([("gzip", nothing)]) {
        let reply = call(&router, with_headers("/embed", &[("content-encoding", encoding)], bomb));
        assert_eq!(
            (reply.status, reply.error(Dialect::Tei).0.as_str()),
            (413, "http.body_too_large")
        );
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_of_its_own() {
    let reset = axum::Error::new(std::io::Error::other("the connection was reset"));
    let body = Body::from(r#"{"inputs""#).with_trailers(std::future::ready(Some(Err(reset))));
    let reply = call(&fake(), post("/embed", Body::new(body)));
    assert_eq!((reply.status, reply.error(Dialect::Tei).0.as_str()), (400, "http.incomplete_body"));
}

#[test]
fn an_answer_is_packed_as_the_client_accepts() {
    let router = fake();
    let body = json!({"inputs": (0..40).map(|i| format!("text {i}")).collect::<Vec<_>>()});
    let plain = call(&router, post("/embed", body.to_string()));
    assert!(plain.body.len() > 1_024, "{}", plain.body.len());
    assert_eq!(plain.header("content-encoding"), None);
    let packed = |accept: &str| {
        let headers = [("content-type", "application/json"), ("accept-encoding", accept)];
        call(&router, with_headers("/embed", &headers, body.to_string()))
    };
    let gzipped = packed("gzip, deflate");
    assert_eq!(gzipped.header("content-encoding"), Some("gzip"));
    assert_eq!(gzipped.header("vary"), Some("accept-encoding"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&gzipped.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert_eq!(gzipped.answered.unwrap().items, 40, "what the answer holds is known all the same");
    let zstandard = packed("zstd");
    assert_eq!(zstandard.header("content-encoding"), Some("zstd"));
    assert_eq!(zstd::decode_all(&zstandard.body[..]).unwrap(), plain.body);
    for accept in ["identity", "br", "gzip;q=0", ""] {
        let reply = packed(accept);
        assert_eq!((reply.status, &reply.body), (200, &plain.body), "{accept}");
        assert_eq!(reply.header("content-encoding"), None, "{accept}");
    }
    let headers = [("accept-encoding", "gzip"), ("content-type", "application/json")];
    let small = call(&router, with_headers("/embed", &headers, r#"{"inputs": "a"}"#));
    assert_eq!(small.header("content-encoding"), None, "not worth it");
}

#[test]
fn an_answer_says_what_it_took() {
    let router = real();
    let long = "river ".repeat(400);
    let body = json!({"inputs": ["Zürich", long], "truncate": true});
    let reply = call(&router, post("/embed", body.to_string()));
    assert_eq!(reply.status, 200);
    let number = |name: &str| reply.header(name).unwrap().parse::<usize>().unwrap();
    assert_eq!(number("x-compute-characters"), 6 + long.len());
    assert!(number("x-compute-tokens") > 256, "{}", number("x-compute-tokens"));
    assert_eq!(reply.header("x-compute-type"), Some("cpu"));
    let parts = number("x-tokenization-time") + number("x-inference-time");
    assert!(number("x-total-time") >= parts);
    assert!((parts..parts + 2).contains(&number("x-compute-time")), "whole milliseconds");
    assert_eq!(number("x-queue-time"), 0);
    assert_eq!(reply.header("x-semblance-truncated"), Some("1"));
    assert_eq!(reply.header("x-semblance-scored-by"), None);
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let body = json!({"query_from_app": long, "actual_queries": ["a", "b", long]});
    let reply = call(&router, post("/", body.to_string()));
    assert_eq!(reply.header("x-semblance-truncated"), Some("0,3"), "the query is 0");
    let body = json!({"query": "a", "documents": ["b"]}).to_string();
    let reply = call(&router, post("/v1/rerank", body.clone()));
    assert_eq!(reply.header("x-semblance-scored-by"), Some("cross-encoder"));
    assert_eq!(reply.header("x-semblance-truncated"), None);
    let reply = call(&fake(), post("/v1/rerank", body));
    assert_eq!(reply.header("x-semblance-scored-by"), Some("bi-encoder"));
}

#[test]
fn a_request_keeps_its_id_or_gets_one() {
    let router = fake();
    for path in ["/health", "/nothing"] {
        let named =
            Request::get(path).header("x-request-id", "a-b.c:1").body(Body::empty()).unwrap();
        assert_eq!(call(&router, named).header("x-request-id"), Some("a-b.c:1"), "{path}");
        let ids: BTreeSet<String> = (0..3)
            .map(|_| call(&router, get(path)).header("x-request-id").unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
    }
}

#[test]
fn pages_of_other_origins_may_call_only_if_they_are_named() {
    let with = |origins: &[&str]| {
        let service = service_on(OneHot::default(), 16, Limits::default());
        let cors_origins = origins.iter().map(ToString::to_string).collect();
        router(Gate::inline(Arc::new(service)), HttpOptions { cors_origins, ..options() })
    };
    let ask = |router: &Router, origin: &str| {
        let request = Request::post("/embed").header("origin", origin);
        call(router, request.body(Body::from(r#"{"inputs": "a"}"#)).unwrap())
    };
    let ask_before = |router: &Router, origin: &str| {
        let request = Request::options("/v1/embeddings")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-stainless-lang");
        call(router, request.body(Body::empty()).unwrap())
    };
    const ALLOWED: &str = "access-control-allow-origin";
    let none = with(&[]);
    assert_eq!(ask(&none, "https://a.example").header(ALLOWED), None);
    assert_eq!(ask_before(&none, "https://a.example").header(ALLOWED), None);
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
        let reply = ask_before(&two, origin);
        assert_eq!((reply.status, reply.header(ALLOWED)), (200, Some(origin)));
        let methods = reply.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("POST") && methods.contains("GET"), "{methods}");
        let headers = reply.header("access-control-allow-headers");
        assert_eq!(headers, Some("content-type,x-stainless-lang"));
        assert_eq!(reply.header("access-control-max-age"), Some("3600"));
    }
    for other in ["https://a.example.evil.example", "http://a.example", "null"] {
        assert_eq!(ask(&two, other).header(ALLOWED), None, "{other}");
        assert_eq!(ask_before(&two, other).header(ALLOWED), None, "{other}");
    }
}

#[test]
fn a_fault_of_the_model_is_500_and_the_next_request_is_answered() {
    let zero = service_on(Constant(0.0), 4, Limits::default());
    let no_number = service_on(Constant(f32::NAN), 4, Limits::default());
    for service in [zero, no_number] {
        let router = router(Gate::inline(Arc::new(service)), options());
        let reply = call(&router, post("/embed", r#"{"inputs": "a"}"#));
        let code = reply.error(Dialect::Tei).0;
        assert_eq!((reply.status, code.as_str()), (500, "model.degenerate_embedding"));
        let reply = call(&router, post("/v1/embeddings", r#"{"input": "a"}"#));
        let code = reply.error(Dialect::OpenAi).0;
        assert_eq!((reply.status, code.as_str()), (500, "model.degenerate_embedding"));
    }
    // 4937 is `cat` in the vocabulary.
    let bug = Arc::new(service_on(PanicsOn(4937), 16, Limits::default()));
    let queued = Gate::queued(Arc::clone(&bug), limits(2, Duration::from_secs(60)));
    for gate in [Gate::inline(bug), queued] {
        let router = router(gate, options());
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

fn limits(admitted: usize, timeout: Duration) -> GateLimits {
    let admitted = NonZeroUsize::new(admitted).unwrap();
    GateLimits { running: NonZeroUsize::MIN, admitted, timeout }
}

/// A model that waits for leave before each batch.
struct Held(Receiver<()>);

impl Infer for Held {
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        // Without anyone to give leave it goes on.
        let _ = self.0.recv();
        OneHot::default().infer(inputs)
    }
}

fn held(limits: GateLimits) -> (Gate, Router, Sender<()>) {
    let (leave, wait) = channel();
    let service = Arc::new(service_on(Held(wait), 16, Limits::default()));
    let gate = Gate::queued(service, limits);
    (gate.clone(), router(gate, options()), leave)
}

#[test]
fn one_request_too_many_is_told_to_come_again_and_the_others_are_answered() {
    let (gate, router, leave) = held(limits(2, Duration::from_secs(60)));
    runtime().block_on(async {
        let ask =
            |text: &str| send(router.clone(), post("/embed", json!({"inputs": text}).to_string()));
        let waiting = [tokio::spawn(ask("a")), tokio::spawn(ask("b"))];
        while gate.admitted() < 2 {
            tokio::task::yield_now().await;
        }
        let reply = ask("c").await;
        let (code, message) = reply.error(Dialect::Tei);
        assert_eq!((reply.status, code.as_str()), (429, "http.overloaded"));
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(message.contains("the limit is 2"), "{message}");
        let body = json!({"input": "c"}).to_string();
        let reply = send(router.clone(), post("/v1/embeddings", body)).await;
        assert_eq!(
            (reply.status, reply.error(Dialect::OpenAi).0.as_str()),
            (429, "http.overloaded")
        );
        for path in ["/health", "/ping", "/info", "/v1/models", "/openapi.json", "/"] {
            assert_eq!(send(router.clone(), get(path)).await.status, 200, "{path} is always told");
        }
        drop(leave);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().status, 200);
        }
        assert_eq!(ask("c").await.status, 200, "there is room again");
    });
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let (gate, router, leave) = held(limits(2, Duration::from_secs(1)));
    runtime().block_on(async {
        let body = json!({"inputs": "a"}).to_string();
        let tei = tokio::spawn(send(router.clone(), post("/embed", body)));
        let body = json!({"input": "b"}).to_string();
        let open_ai = tokio::spawn(send(router.clone(), post("/v1/embeddings", body)));
        for (reply, dialect) in [(tei, Dialect::Tei), (open_ai, Dialect::OpenAi)] {
            let reply = reply.await.unwrap();
            let (code, message) = reply.error(dialect);
            assert_eq!((reply.status, code.as_str()), (503, "http.timed_out"));
            assert_eq!(message, "the answer took longer than 1 seconds");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        drop(leave);
        while gate.admitted() > 0 {
            tokio::task::yield_now().await;
        }
        let body = json!({"inputs": "c"}).to_string();
        assert_eq!(send(router.clone(), post("/embed", body)).await.status, 200);
    });
}

#[test]
fn a_reply_that_is_too_large_says_how_much_would_fit() {
    let error = HttpError::ReplyTooLarge { bytes: 7_000, limit_bytes: 6_000, items: 10, fit: 8 };
    assert_eq!(error.code(), "response.too_large");
    for dialect in [Dialect::Tei, Dialect::OpenAi] {
        assert_eq!(error.status(dialect), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let message = "the reply has 7000 bytes, the limit is 6000: 8 of the 10 items fit in one reply";
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_browser_gets_the_page_and_may_run_nothing_else() {
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
        assert_eq!(reply.header("vary"), Some("accept"), "a cache must not mix them up");
    }
}

/// Every value of a key, wherever it stands.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            if name == key {
                found.push(value);
            }
            all(value, key, found);
        }),
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[test]
fn the_document_describes_every_route_and_nothing_else() {
    let document = call(&fake(), get("/openapi.json")).json();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let routes = ROUTES.iter().map(|route| (route.path.to_owned(), route.method().to_string()));
    assert_eq!(described, routes.collect());
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let mut ids = Vec::new();
    all(&document, "operationId", &mut ids);
    let different: BTreeSet<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(different.len(), ROUTES.len());
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Text"]["maxLength"], 2_000);
    assert_eq!(schemas["Texts"]["maxItems"], 40);
    assert_eq!(schemas["Dimensions"]["maximum"], 16);
    assert_eq!(schemas["PromptName"]["enum"], json!(["query"]));
}

#[test]
fn the_document_names_the_fields_that_each_route_reads() {
    let document = call(&fake(), get("/openapi.json")).json();
    let cuts = ["truncate", "truncation_direction"];
    let cases: [(&str, &[&str]); 7] = [
        ("/similarity", &["inputs", "parameters"]),
        ("/embed", &["inputs", "prompt_name", "normalize", "dimensions", cuts[0], cuts[1]]),
        ("/rerank", &["query", "texts", "raw_scores", "return_text", cuts[0], cuts[1]]),
        ("/predict", &["inputs", "raw_scores", cuts[0], cuts[1]]),
        ("/tokenize", &["inputs", "add_special_tokens", "prompt_name"]),
        ("/v1/embeddings", &["input", "encoding_format", "dimensions", "model", "user"]),
        ("/v1/rerank", &["query", "documents", "top_n", "return_documents", "model"]),
    ];
    for (path, fields) in cases {
        let content = &document["paths"][path]["post"]["requestBody"]["content"];
        let reference = content["application/json"]["schema"]["$ref"].as_str().unwrap();
        let body = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        let described: BTreeSet<&str> =
            body["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, fields.iter().copied().collect(), "{path}");
    }
}

#[test]
fn the_examples_of_the_document_are_answered_with_documented_statuses_and_headers() {
    let router = real();
    let document = call(&router, get("/openapi.json")).json();
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.method() == Method::POST) {
        let operation = &document["paths"][route.path]["post"];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let own = |schema: &Value| {
            let pointer = schema["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
            document.pointer(pointer).unwrap()["example"].clone()
        };
        let examples = match schema["anyOf"].as_array() {
            Some(any) => any.iter().map(own).filter(|example| !example.is_null()).collect(),
            None => vec![own(schema)],
        };
        for example in examples {
            let reply = call(&router, post(route.path, example.to_string()));
            assert_eq!(reply.status, 200, "{} {example}", route.path);
            let headers = operation["responses"]["200"]["headers"].as_object().unwrap();
            for name in reply.headers.keys().filter(|name| name.as_str().starts_with("x-")) {
                let is_said = headers.contains_key(name.as_str());
                assert!(is_said || name == "x-content-type-options", "{name}");
            }
            tried += 1;
        }
        let reply = call(&router, post(route.path, "{}"));
        let status = reply.status.to_string();
        assert!(operation["responses"].get(&status).is_some(), "{status} of {}", route.path);
    }
    assert!(tried >= 12, "{tried}");
}
