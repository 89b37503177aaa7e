//! The guarantees in docs/http.md, for every kind of bundle.

use std::num::NonZeroUsize;

use semblance_api::Service;
use semblance_test_support::{
    Breakable, bundle, cross_encoder_bundle, int8_bundle, load, service_of,
};
use serde_json::{Value, json};

use crate::run;

const TEXTS: [&str; 5] = ["a river in London", "bread", "a river in London", "9 million", "Zürich"];

/// Services on every kind of bundle.
fn services() -> Vec<(&'static str, Service)> {
    let alone = |folder: &std::path::Path| service_of(load(folder, None, NonZeroUsize::MIN));
    let with = |name: &str| {
        let cross_encoder = cross_encoder_bundle(name);
        service_of(load(&bundle(), Some(&cross_encoder), NonZeroUsize::MIN))
    };
    let unnormalized = |similarity: &str| {
        let bundle = Breakable::new().with_manifest(|manifest| {
            manifest["normalize"] = json!(false);
            manifest["similarity"] = json!(similarity);
        });
        service_of(load(bundle.path(), None, NonZeroUsize::MIN))
    };
    vec![
        ("fp32", alone(&bundle())),
        ("int8", alone(&int8_bundle())),
        ("cross-encoder", with("cross")),
        ("cross-encoder of three labels", with("cross-labels")),
        ("no Normalize", unnormalized("cosine")),
        ("no Normalize, dot", unnormalized("dot")),
    ]
}

fn answer(service: &Service, form: &str, request: Value) -> Value {
    run(service, form, request).unwrap().0
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(|number| number.as_f64().unwrap()).collect()
}

fn norm(row: &Value) -> f64 {
    numbers(row).iter().map(|number| number * number).sum::<f64>().sqrt()
}

/// Asserts that scores do not increase, and that equal ones are in the order of their indices.
fn assert_ranked(kind: &str, items: &[Value], score: &str) {
    let mut indices: Vec<u64> = items.iter().map(|item| item["index"].as_u64().unwrap()).collect();
    for pair in items.windows(2) {
        let of = |item: &Value| (item[score].as_f64().unwrap(), item["index"].as_u64().unwrap());
        let ((first, index), (second, next)) = (of(&pair[0]), of(&pair[1]));
        assert!(first > second || first == second && index < next, "{kind} {items:?}");
    }
    indices.sort_unstable();
    assert_eq!(indices, (0..TEXTS.len() as u64).collect::<Vec<_>>(), "{kind}: each index once");
}

#[test]
fn embeddings_have_unit_length_and_keep_their_order() {
    for (kind, service) in services() {
        for dimensions in [json!(null), json!(64)] {
            let rows = [
                ("/embed", json!({"inputs": TEXTS, "dimensions": dimensions}), ""),
                ("/v1/embeddings", json!({"input": TEXTS, "dimensions": dimensions}), "/data"),
                ("/embeddings", json!({"input": TEXTS, "output_dimension": dimensions}), "/data"),
                (
                    "/v1/embed",
                    json!({"texts": TEXTS, "output_dimension": dimensions}),
                    "/embeddings",
                ),
                (
                    "/v2/embed",
                    json!({"texts": TEXTS, "output_dimension": dimensions}),
                    "/embeddings/float",
                ),
                ("/api/embed", json!({"input": TEXTS, "dimensions": dimensions}), "/embeddings"),
            ];
            let mut first: Option<Vec<Value>> = None;
            for (form, request, place) in rows {
                let reply = answer(&service, form, request);
                let row = |item: &Value| item.get("embedding").unwrap_or(item).clone();
                let rows: Vec<Value> =
                    list(reply.pointer(place).unwrap()).iter().map(row).collect();
                assert_eq!(rows.len(), TEXTS.len());
                for row in &rows {
                    let length = norm(row);
                    assert!((length - 1.0).abs() < 1e-5, "{kind} {form} {dimensions}: {length}");
                }
                assert_eq!(rows[0], rows[2], "{kind} {form}: equal texts");
                assert_ne!(rows[0], rows[1]);
                assert_eq!(&rows, first.get_or_insert_with(|| rows.clone()), "{kind} {form}");
            }
        }
        let alone = answer(&service, "/api/embeddings", json!({"prompt": TEXTS[4]}));
        let among = answer(&service, "/embed", json!({"inputs": TEXTS}));
        for (alone, among) in numbers(&alone["embedding"]).iter().zip(numbers(&among[4])) {
            assert!((alone - among).abs() < 1e-5, "{kind}: independent of the other texts");
        }
    }
}

#[test]
fn openai_replies_have_indices_and_usage() {
    for (kind, service) in services() {
        let reply = answer(&service, "/v1/embeddings", json!({"input": TEXTS}));
        let indices: Vec<u64> =
            list(&reply["data"]).iter().map(|item| item["index"].as_u64().unwrap()).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4], "{kind}");
        let tokens = answer(&service, "/tokenize", json!({"inputs": TEXTS}));
        let tokens: usize = list(&tokens).iter().map(|tokens| list(tokens).len()).sum();
        assert_eq!(reply["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    }
}

#[test]
fn rankings_are_sorted_and_whole() {
    for (kind, service) in services() {
        let query = "How many people live in London?";
        let ranks = answer(&service, "/rerank", json!({"query": query, "texts": TEXTS}));
        assert_ranked(kind, list(&ranks), "score");
        for form in ["/v1/rerank", "/v2/rerank"] {
            let request = json!({"query": query, "documents": TEXTS});
            let reply = answer(&service, form, request);
            assert_ranked(kind, list(&reply["results"]), "relevance_score");
            for (rank, result) in list(&ranks).iter().zip(list(&reply["results"])) {
                assert_eq!(
                    (&rank["index"], &rank["score"]),
                    (&result["index"], &result["relevance_score"])
                );
            }
            let best = json!({"query": query, "documents": TEXTS, "top_n": 2});
            let best = answer(&service, form, best)["results"].clone();
            assert_eq!(list(&best)[..], list(&reply["results"])[..2], "{kind}");
        }
    }
}

#[test]
fn comparisons_have_every_text_once() {
    for (kind, service) in services() {
        let query = "How many people live in London?";
        let request = json!({"inputs": {"source_sentence": query, "sentences": TEXTS}});
        let scores = numbers(&answer(&service, "/similarity", request));
        assert_eq!((scores.len(), scores[0]), (TEXTS.len(), scores[2]), "{kind}");
        if service.about().similarity_fn_name == "cosine" {
            assert!(scores.iter().all(|score| (-1.0..=1.0).contains(score)), "{kind} {scores:?}");
        } else {
            assert!(scores.iter().any(|score| score.abs() > 1.0), "{kind} {scores:?}");
        }
        let event = json!({"query_from_app": query, "actual_queries": TEXTS});
        let reply = answer(&service, "event", event);
        let mut expected: Vec<usize> = (0..TEXTS.len()).collect();
        expected.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let texts: Vec<&str> = expected.into_iter().map(|index| TEXTS[index]).collect();
        let found: Vec<&str> =
            list(&reply["Scores"]).iter().map(|pair| pair[0].as_str().unwrap()).collect();
        assert_eq!(found, texts, "{kind}");
    }
}

#[test]
fn predictions_have_every_label() {
    for (kind, service) in services() {
        let Some(cross_encoder) = &service.about().cross_encoder else { continue };
        let reply = answer(&service, "/predict", json!({"inputs": [["a", "b"], ["a", "c"]]}));
        assert_eq!(list(&reply).len(), 2);
        for pair in list(&reply) {
            let mut labels: Vec<&str> =
                list(pair).iter().map(|one| one["label"].as_str().unwrap()).collect();
            let scores: Vec<f64> =
                list(pair).iter().map(|one| one["score"].as_f64().unwrap()).collect();
            assert!(scores.is_sorted_by(|a, b| a >= b), "{kind}");
            labels.sort_unstable();
            let all: Vec<String> =
                (0..cross_encoder.labels).map(|label| format!("LABEL_{label}")).collect();
            assert_eq!(labels, all, "{kind}");
        }
    }
}
