//! Similarity functions and prompts: scores are those of sentence-transformers, on every route.

use std::num::NonZeroUsize;

use semblance_api::Service;
use semblance_test_support::{Breakable, load, repository, service_of};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run;

/// Maximum difference of a score, relative to its size where that is more than 1.
const TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Golden {
    query: String,
    texts: Vec<String>,
    cases: Vec<Case>,
    default_prompt: DefaultPrompt,
}

/// Prompts, and the embeddings of the query by each method of sentence-transformers.
#[derive(Deserialize)]
struct DefaultPrompt {
    prompts: Value,
    default_prompt_name: String,
    encode: Vec<f64>,
    encode_query: Vec<f64>,
    encode_document: Vec<f64>,
    no_prompt: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    similarity: String,
    normalize: bool,
    prompts: Value,
    scores: Vec<f64>,
}

fn golden() -> Golden {
    let file = repository("tests/data/golden/similarity.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// A service on the default model with another manifest.
fn service_with(similarity: &str, normalize: bool, prompts: &Value) -> Service {
    let bundle = Breakable::new().with_manifest(|manifest| {
        manifest["similarity"] = json!(similarity);
        manifest["normalize"] = json!(normalize);
        manifest["prompts"] = prompts.clone();
    });
    service_of(load(bundle.path(), None, NonZeroUsize::MIN))
}

fn answer(service: &Service, form: &str, request: Value) -> Value {
    run(service, form, request).unwrap().0
}

/// Returns the score of each text, in input order, from every route that compares texts.
fn scores(service: &Service, query: &str, texts: &[String]) -> Vec<(&'static str, Vec<f64>)> {
    let number = |value: &Value| value.as_f64().unwrap();
    let indexed = |list: &Value, name: &str| {
        let mut scores = vec![f64::NAN; texts.len()];
        for item in list.as_array().unwrap() {
            scores[usize::try_from(item["index"].as_u64().unwrap()).unwrap()] = number(&item[name]);
        }
        scores
    };
    let inputs = json!({"inputs": {"source_sentence": query, "sentences": texts}});
    let similarity = answer(service, "/similarity", inputs.clone());
    let list = |reply: &Value| reply.as_array().unwrap().iter().map(number).collect();
    let event = answer(service, "event", json!({"query_from_app": query, "actual_queries": texts}));
    let of_event = |text: &String| {
        let pairs = event["Scores"].as_array().unwrap();
        number(&pairs.iter().find(|pair| pair[0] == *text).unwrap()[1])
    };
    let rerank = answer(service, "/rerank", json!({"query": query, "texts": texts}));
    let cohere = answer(service, "/v1/rerank", json!({"query": query, "documents": texts}));
    let voyage =
        answer(service, "/v1/rerank", json!({"query": query, "documents": texts, "top_k": 9}));
    vec![
        ("/similarity", list(&similarity)),
        ("/invocations", list(&answer(service, "/invocations", inputs))),
        ("event", texts.iter().map(of_event).collect()),
        ("/rerank", indexed(&rerank, "score")),
        ("/v1/rerank", indexed(&cohere["results"], "relevance_score")),
        ("voyage", indexed(&voyage["data"], "relevance_score")),
    ]
}

#[test]
fn scores_match_sentence_transformers_on_every_route() {
    let golden = golden();
    assert_eq!(golden.cases.len(), 16);
    let mut largest = 0.0f64;
    for Case { similarity, normalize, prompts, scores: expected } in &golden.cases {
        let service = service_with(similarity, *normalize, prompts);
        assert_eq!(service.about().similarity_fn_name, *similarity);
        for (route, found) in scores(&service, &golden.query, &golden.texts) {
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - expected).abs() / expected.abs().max(1.0);
                largest = largest.max(difference);
                assert!(
                    difference <= TOLERANCE,
                    "{route} {similarity} {normalize} {prompts}: {found} {expected}"
                );
            }
        }
    }
    println!("similarity: {} cases, largest relative difference {largest:e}", golden.cases.len());
}

#[test]
fn null_disables_the_prompts_and_a_name_applies_to_all_texts() {
    let prompts = json!({"query": "query: ", "corpus": "unused ", "passage": "passage: "});
    let service = service_with("cosine", true, &prompts);
    let bare = service_with("cosine", true, &json!({}));
    let (query, texts) = ("How do I change my password?", ["Choose a new one", "It has a river"]);
    let event = |service: &Service, query: &str, texts: &[String], prompt: Option<Value>| {
        let mut event = json!({"query_from_app": query, "actual_queries": texts});
        if let Some(prompt) = prompt {
            event["prompt_name"] = prompt;
        }
        let scores = answer(service, "event", event)["Scores"].clone();
        scores.as_array().unwrap().iter().map(|pair| pair[1].clone()).collect::<Vec<_>>()
    };
    let with = |prefix: &str| texts.map(|text| format!("{prefix}{text}"));
    let by_role = event(&service, query, &with(""), None);
    let expected = event(&bare, &format!("query: {query}"), &with("passage: "), None);
    assert_eq!(by_role, expected, "passage comes before corpus");
    let off = event(&service, query, &with(""), Some(json!(null)));
    assert_eq!(off, event(&bare, query, &with(""), None));
    assert_ne!(off, by_role);
    let named = event(&service, query, &with(""), Some(json!("query")));
    let expected = event(&bare, &format!("query: {query}"), &with("query: "), None);
    assert_eq!(named, expected);
    for (form, request) in [
        ("/rerank", json!({"query": query, "texts": texts, "prompt_name": null})),
        (
            "/similarity",
            json!({"inputs": {"source_sentence": query, "sentences": texts},
                   "parameters": {"prompt_name": null}}),
        ),
    ] {
        let found = answer(&service, form, request.clone());
        assert_eq!(found, answer(&bare, form, request.clone()), "{form}");
    }
}

#[test]
fn input_type_selects_the_prompt_of_an_embedding() {
    let prompts = json!({"query": "query: ", "passage": "passage: ", "clustering": "topic: "});
    let service = service_with("cosine", true, &prompts);
    let embed = |request: Value| {
        answer(&service, "/v1/embeddings", request)["data"][0]["embedding"].clone()
    };
    for (name, value, prefix) in [
        ("input_type", "query", "query: "),
        ("input_type", "document", "passage: "),
        ("input_type", "search_query", "query: "),
        ("input_type", "passage", "passage: "),
        ("task", "retrieval.query", "query: "),
        ("task", "retrieval.passage", "passage: "),
        ("task", "clustering", "topic: "),
        ("task", "classification", ""),
        ("prompt_name", "clustering", "topic: "),
    ] {
        let found = embed(json!({"input": "London", name: value}));
        assert_eq!(found, embed(json!({"input": format!("{prefix}London")})), "{name} {value}");
    }
    let cohere = json!({"texts": ["London"], "input_type": "search_document"});
    let found = answer(&service, "/v2/embed", cohere);
    assert_eq!(found["embeddings"]["float"][0], embed(json!({"input": "passage: London"})));
}

#[test]
fn a_text_without_a_role_gets_the_default_prompt_on_every_route() {
    let Golden { query, default_prompt: golden, .. } = golden();
    let bundle = Breakable::new().with_manifest(|manifest| {
        manifest["prompts"] = golden.prompts.clone();
        manifest["default_prompt"] = json!(golden.default_prompt_name);
    });
    let service = service_of(load(bundle.path(), None, NonZeroUsize::MIN));
    assert_eq!(service.about().default_prompt_name.as_ref(), Some(&golden.default_prompt_name));
    let check = |form: &str, request: Value, pointer: &str, expected: &[f64]| {
        let reply = answer(&service, form, request.clone());
        let found = reply.pointer(pointer).and_then(Value::as_array).unwrap();
        assert_eq!(found.len(), expected.len(), "{form} {request}");
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found.as_f64().unwrap() - expected).abs();
            assert!(difference <= TOLERANCE, "{form} {request}: {found} {expected}");
        }
    };
    let (by_default, off) = (golden.encode.as_slice(), golden.no_prompt.as_slice());
    let cohere = |input_type: &str| json!({"texts": [query], "input_type": input_type});
    for (form, request, pointer, expected) in [
        ("/embed", json!({"inputs": query}), "/0", by_default),
        ("/embed", json!({"inputs": query, "prompt_name": null}), "/0", off),
        ("/embed", json!({"inputs": query, "prompt_name": "query"}), "/0", &golden.encode_query),
        ("/v1/embeddings", json!({"input": query}), "/data/0/embedding", by_default),
        ("/v1/embeddings", json!({"input": query, "prompt_name": null}), "/data/0/embedding", off),
        (
            "/v1/embeddings",
            json!({"input": query, "input_type": "query"}),
            "/data/0/embedding",
            &golden.encode_query,
        ),
        // encode_document does not fall back to the default prompt.
        (
            "/v1/embeddings",
            json!({"input": query, "input_type": "document"}),
            "/data/0/embedding",
            &golden.encode_document,
        ),
        (
            "/v1/embeddings",
            json!({"input": query, "task": "separation"}),
            "/data/0/embedding",
            by_default,
        ),
        ("/api/embed", json!({"model": "m", "input": query}), "/embeddings/0", by_default),
        ("/api/embeddings", json!({"model": "m", "prompt": query}), "/embedding", by_default),
        ("/v2/embed", cohere("classification"), "/embeddings/float/0", by_default),
        ("/v2/embed", cohere("search_query"), "/embeddings/float/0", &golden.encode_query),
    ] {
        check(form, request, pointer, expected);
    }
    let tokens =
        |request: Value| answer(&service, "/tokenize", request)[0].as_array().unwrap().len();
    let prompt =
        tokens(json!({"inputs": query})) - tokens(json!({"inputs": query, "prompt_name": null}));
    assert_eq!(prompt, 4, "name the topic :");
    // A comparison has roles, so the default prompt does not apply to it.
    let bare = service_with("cosine", true, &golden.prompts);
    let compare = json!({"inputs": {"source_sentence": query, "sentences": ["It has a river"]}});
    let found = answer(&service, "/similarity", compare.clone());
    assert_eq!(found, answer(&bare, "/similarity", compare));
}
