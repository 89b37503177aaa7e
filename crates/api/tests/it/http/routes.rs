//! Responses of every route, and their headers.

use super::*;
use crate::call as read;

/// Each POST route, the route whose decoder reads its body, and a body.
pub(super) fn operations() -> Vec<(&'static str, &'static str, Value)> {
    let (query, texts) = ("How many people live in London?", ["It has a river", "9 million", "It"]);
    let event = json!({"query_from_app": query, "actual_queries": texts, "top_k": 2});
    let scores = json!({"inputs": {"source_sentence": query, "sentences": texts}});
    let embed = json!({"inputs": texts, "dimensions": 8});
    let open_ai = json!({"input": texts, "model": "any", "user": "any"});
    let cohere = json!({"query": query, "documents": [texts[0], {"text": texts[1]}, texts[2]],
                        "top_n": 2, "return_documents": true});
    vec![
        ("/", "/invocations", event.clone()),
        ("/", "/invocations", embed.clone()),
        ("/", "/invocations", scores.clone()),
        ("/", "/invocations", json!({"operation": "info"})),
        ("/invocations", "/invocations", event),
        ("/similarity", "/similarity", scores),
        ("/embed", "/embed", embed),
        ("/rerank", "/rerank", json!({"query": query, "texts": texts, "return_text": true})),
        ("/predict", "/predict", json!({"inputs": [query, texts[0]]})),
        ("/predict", "/predict", json!({"inputs": [[query, texts[0]], [query, texts[1]]]})),
        ("/tokenize", "/tokenize", json!({"inputs": texts})),
        ("/search", "/search", json!({"index": "docs", "query": query})),
        ("/mine", "/mine", json!({"texts": texts, "max_pairs": 2})),
        ("/cluster", "/cluster", json!({"index": "docs", "threshold": 0.2, "min_size": 2})),
        ("/map", "/map", json!({"texts": texts})),
        ("/v1/embeddings", "/v1/embeddings", open_ai.clone()),
        ("/embeddings", "/v1/embeddings", open_ai),
        ("/v1/rerank", "/v1/rerank", cohere.clone()),
        ("/v2/rerank", "/v2/rerank", cohere.clone()),
        ("/rerank", "/v1/rerank", cohere.clone()),
        ("/invocations", "/v1/rerank", cohere),
        ("/invocations", "/v1/embeddings", json!({"input": texts})),
        ("/v1/embed", "/v1/embed", json!({"texts": texts, "input_type": "search_query"})),
        ("/v2/embed", "/v2/embed", json!({"texts": texts, "embedding_types": ["ubinary"]})),
        ("/api/embed", "/api/embed", json!({"model": "any", "input": texts})),
        ("/api/embeddings", "/api/embeddings", json!({"model": "any", "prompt": query})),
        ("/embed_all", "/embed_all", json!({"inputs": texts})),
        ("/embed", "/embed", json!({"inputs": [[101, 2414, 102], [101, 2314, 102]]})),
        ("/predict", "/predict", json!({"inputs": query})),
        ("/decode", "/decode", json!({"ids": [[101, 2414, 102], [2314]]})),
        ("/api/show", "/api/show", json!({"model": "any"})),
    ]
}

#[test]
fn every_route_returns_the_result_of_its_operation() {
    let router = real();
    let mut paths = BTreeSet::new();
    for (path, form, body) in operations() {
        let expected = read(form, body.clone(), service().limits()).unwrap();
        let expected = expected.run(service()).unwrap();
        let reply = call(&router, post(path, body.to_string()));
        assert_eq!(reply.status, 200, "{path} {reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let without_times = |mut reply: Value| {
            for name in ["id", "total_duration"] {
                reply.as_object_mut().map(|reply| reply.remove(name));
            }
            reply
        };
        let expected_reply = serde_json::from_str(expected.reply.body.get()).unwrap();
        assert_close(&without_times(reply.json()), &without_times(expected_reply));
        let info = reply.info.unwrap();
        assert_eq!(info.items, expected.reply.items, "{path}");
        let (found, expected) = (&info.report.cost, &expected.report.cost);
        assert_eq!(found.prompt_tokens, expected.prompt_tokens, "{path}");
        paths.insert(path);
    }
    // `/embed_sparse` refuses every request.
    let has_result = |path: &str| path != "/embed_sparse";
    let routes = routes().filter(|route| route.method == Method::POST && has_result(route.path));
    assert_eq!(paths, routes.map(|route| route.path).collect(), "every POST route is tested");
}

#[test]
fn get_routes_return_models_and_health() {
    let router = real();
    let about = serde_json::to_value(service().about()).unwrap();
    let models = call(&router, get("/v1/models")).json();
    assert_eq!(models["data"].as_array().unwrap().len(), 2, "both models");
    let cases = [
        ("/", about.clone()),
        ("/info", about),
        ("/indexes", json!({"indexes": ["docs"]})),
        ("/health", json!({"status": "ok"})),
        ("/ping", json!({"status": "ok"})),
        ("/healthz", json!({"status": "ok"})),
        ("/api/version", json!({"version": env!("CARGO_PKG_VERSION")})),
        ("/models", models.clone()),
        ("/v1/models", models.clone()),
        ("/v1/models/all-minilm-l6-v2", models["data"][0].clone()),
    ];
    for (path, expected) in cases {
        let reply = call(&router, get(path));
        assert_eq!((reply.status, reply.json()), (200, expected), "{path}");
    }
}

#[test]
fn the_name_of_a_model_can_contain_a_slash() {
    let service = named_fake_service("maker/model", OneHot::default(), 16, Limits::default());
    let router = router(Admission::inline(Arc::new(service)), options());
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
fn base64_embeddings_have_the_same_numbers() {
    let router = real();
    let embed = |format: &str| {
        let body = json!({"input": ["London", "It has a river"], "encoding_format": format});
        let mut reply = call(&router, post("/v1/embeddings", body.to_string())).json();
        let rows: Vec<Value> =
            (0..2).map(|index| reply["data"][index]["embedding"].take()).collect();
        (rows, reply)
    };
    let (numbers, rest) = embed("float");
    let (encoded, rest_encoded) = embed("base64");
    assert_eq!(rest, rest_encoded);
    for (numbers, encoded) in numbers.iter().zip(encoded) {
        let bytes = STANDARD.decode(encoded.as_str().unwrap()).unwrap();
        let decoded: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let numbers: Vec<f32> = serde_json::from_value(numbers.clone()).unwrap();
        assert_eq!(decoded.len(), 384);
        assert_eq!(numbers, decoded, "JSON numbers round-trip exactly");
    }
}

#[test]
fn redundant_slashes_count_for_nothing() {
    let router = fake();
    let body = r#"{"inputs": "a"}"#;
    for path in ["//embed", "/embed/", "//embed//"] {
        assert_eq!(call(&router, post(path, body)).status, 200, "{path}");
    }
    for route in routes().filter(|route| !route.path.contains('{')) {
        for path in [format!("/{}", route.path), format!("{}/", route.path)] {
            let request = |path: &str| match route.method {
                Method::POST => post(path, "{}"),
                _ => get(path),
            };
            let (found, plain) =
                (call(&router, request(&path)), call(&router, request(route.path)));
            assert_eq!((found.status, found.body), (plain.status, plain.body), "{path}");
        }
    }
    assert_eq!(call(&router, get("/v1/models/?x=1")).status, 200, "the query stays");
    let reply = call(&router, Request::delete("/embed/").body(Body::empty()).unwrap());
    assert_eq!(reply.status, 405);
}

#[test]
fn head_returns_the_headers_of_get() {
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
fn response_headers_report_the_cost() {
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
    assert!(number("x-queue-time") <= number("x-total-time"));
    assert_eq!(reply.header("x-semblance-truncated"), Some("1"));
    assert_eq!(reply.header("x-semblance-scored-by"), None);
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let body = json!({"query_from_app": long, "actual_queries": ["a", "b", long]});
    let reply = call(&router, post("/", body.to_string()));
    assert_eq!(reply.header("x-semblance-truncated"), Some("0,3"), "the query is 0");
    let tags = call(&real(), get("/api/tags")).json();
    assert_eq!(tags["models"][0]["name"], "all-minilm-l6-v2");
    let body = json!({"query": "a", "documents": ["b"]}).to_string();
    let reply = call(&router, post("/v1/rerank", body.clone()));
    assert_eq!(reply.header("x-semblance-scored-by"), Some("cross-encoder"));
    assert_eq!(reply.header("x-semblance-truncated"), None);
    let reply = call(&fake(), post("/v1/rerank", body));
    assert_eq!(reply.header("x-semblance-scored-by"), Some("bi-encoder"));
}

#[test]
fn a_request_keeps_its_id_or_gets_a_new_one() {
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
