//! The guarantees in docs/http.md, for every kind of bundle.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use semblance::outcome::Scorer;
use semblance::{Model, Options};
use semblance_api::Service;
use semblance_test_support::{
    Breakable, bundle, cross_encoder_bundle, family_bundle, int8_bundle, library, load, service_of,
};
use serde_json::{Value, json};

use crate::run;

const TEXTS: [&str; 5] = ["a river in London", "bread", "a river in London", "9 million", "Zürich"];

/// Services with an embedding model, on every kind of bundle.
fn services() -> Vec<(&'static str, Service)> {
    let alone = |folder: &Path| service_of(load(folder, None, NonZeroUsize::MIN));
    let with = |folder: &Path, name: &str| {
        let cross_encoder = cross_encoder_bundle(name);
        service_of(load(folder, Some(&cross_encoder), NonZeroUsize::MIN))
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let bundle = Breakable::new().with_manifest(change);
        service_of(load(bundle.path(), None, NonZeroUsize::MIN))
    };
    let similarity = |name: &str| {
        changed(&|manifest| {
            manifest["normalize"] = json!(false);
            manifest["similarity"] = json!(name);
        })
    };
    let prompts = changed(&|manifest| {
        manifest["prompts"] = json!({"query": "a question: ", "document": "an answer: "});
    });
    vec![
        ("fp32", alone(&bundle())),
        ("int8", alone(&int8_bundle())),
        ("cross-encoder", with(&bundle(), "cross")),
        ("int8 and cross-encoder", with(&int8_bundle(), "cross")),
        ("cross-encoder of three labels", with(&bundle(), "cross-labels")),
        ("prompts", prompts),
        ("no Normalize, cosine", similarity("cosine")),
        ("no Normalize, dot", similarity("dot")),
        ("no Normalize, euclidean", similarity("euclidean")),
        ("no Normalize, manhattan", similarity("manhattan")),
        ("dense", alone(&family_bundle("dense-tanh"))),
        ("two dense layers, no Normalize", alone(&family_bundle("dense-twice"))),
        ("max pooling, no Normalize", alone(&family_bundle("pooling-max"))),
        ("byte-level BPE", alone(&family_bundle("roberta"))),
    ]
}

/// Services that rank: those with an embedding model, and one with a cross-encoder alone.
fn rankers() -> Vec<(&'static str, Service)> {
    let mut services = services();
    let cross_encoder = Options {
        library: library(),
        cross_encoder: Some(cross_encoder_bundle("cross")),
        cache_bytes: 0,
        ..Options::default()
    };
    let model = Model::load_cross_encoder(cross_encoder).unwrap();
    services.push(("cross-encoder alone", service_of(model)));
    services
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
        let half = service.about().dimensions / 2;
        for dimensions in [json!(null), json!(half)] {
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

/// Number of tokens of texts, special ones included.
fn tokens(service: &Service, texts: &[&str], prompt: Option<&str>) -> usize {
    let reply = answer(service, "/tokenize", json!({"inputs": texts, "prompt_name": prompt}));
    list(&reply).iter().map(|tokens| list(tokens).len()).sum()
}

#[test]
fn items_have_indices_and_usage_is_the_sum_of_the_tokens() {
    for (kind, service) in services() {
        let reply = answer(&service, "/v1/embeddings", json!({"input": TEXTS}));
        let indices: Vec<u64> =
            list(&reply["data"]).iter().map(|item| item["index"].as_u64().unwrap()).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4], "{kind}");
        let sum = tokens(&service, &TEXTS, None);
        assert_eq!(reply["usage"], json!({"prompt_tokens": sum, "total_tokens": sum}), "{kind}");
        for form in ["/v1/embed", "/v2/embed"] {
            let reply = answer(&service, form, json!({"texts": TEXTS}));
            assert_eq!(reply["meta"]["billed_units"]["input_tokens"], sum, "{kind} {form}");
            assert_eq!(reply["texts"], json!(TEXTS));
        }
        let reply = answer(&service, "/api/embed", json!({"input": TEXTS}));
        assert_eq!(reply["prompt_eval_count"], sum, "{kind}");
    }
}

#[test]
fn the_usage_of_a_ranking_is_the_sum_of_the_tokens() {
    let query = "How many people live in London?";
    for (kind, service) in rankers() {
        let rank = |texts: &[&str]| {
            let reply = answer(&service, "/v1/rerank", json!({"query": query, "documents": texts}));
            assert_eq!(reply["usage"]["total_tokens"], reply["usage"]["prompt_tokens"]);
            assert_eq!(reply["meta"]["billed_units"]["search_units"], texts.len().div_ceil(100));
            reply["usage"]["total_tokens"].as_u64().unwrap() as usize
        };
        let sum = match service.model().reranks_with() {
            // Each pair with its special tokens.
            Scorer::CrossEncoder => TEXTS.iter().map(|text| rank(&[text])).sum(),
            Scorer::BiEncoder => {
                let info = service.model().info();
                tokens(&service, &[query], info.query_prompt())
                    + tokens(&service, &TEXTS, info.document_prompt())
            }
        };
        assert_eq!(rank(&TEXTS), sum, "{kind}");
    }
}

#[test]
fn formats_have_the_numbers_of_float() {
    for (kind, service) in services() {
        let request = |field: &str, format: &str| {
            let reply = answer(&service, "/v1/embeddings", json!({"input": TEXTS, field: format}));
            let list = list(&reply["data"]).iter().map(|item| item["embedding"].clone());
            list.collect::<Vec<Value>>()
        };
        let rows = request("encoding_format", "float");
        let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
        let values =
            |row: &Value| -> Vec<f32> { numbers(row).into_iter().map(|n| n as f32).collect() };
        for (row, encoded) in rows.iter().zip(request("encoding_format", "base64")) {
            let expected: Vec<u8> =
                values(row).iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(bytes(&encoded), expected, "{kind}");
        }
        // As sentence-transformers quantizes rows with the ranges -1 and 1.
        let level = |value: &f32| ((f64::from(*value) + 1.0) / (2.0 / 255.0)).floor();
        for (row, levels) in rows.iter().zip(request("output_dtype", "uint8")) {
            let expected: Vec<f64> = values(row).iter().map(level).collect();
            assert_eq!(numbers(&levels), expected, "{kind}");
        }
        for (unsigned, signed) in ["uint8", "ubinary"].into_iter().zip(["int8", "binary"]) {
            for (unsigned, signed) in
                request("output_dtype", unsigned).iter().zip(request("output_dtype", signed))
            {
                let expected: Vec<f64> =
                    numbers(unsigned).iter().map(|byte| byte - 128.0).collect();
                assert_eq!(numbers(&signed), expected, "{kind}");
            }
        }
        for (row, packed) in rows.iter().zip(request("embedding_type", "ubinary")) {
            let row = values(row);
            let packed = numbers(&packed);
            assert_eq!(packed.len(), row.len().div_ceil(8), "{kind}");
            for (index, value) in row.iter().enumerate() {
                let bit = packed[index / 8] as u8 >> (7 - index % 8) & 1;
                assert_eq!(bit == 1, *value > 0.0, "{kind} {index}");
            }
        }
    }
}

#[test]
fn every_response_has_its_own_id() {
    let (_, service) = services().swap_remove(0);
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        for (form, request) in [
            ("/v1/rerank", json!({"query": "a", "documents": ["b"]})),
            ("/v2/rerank", json!({"query": "a", "documents": ["b"]})),
            ("/v1/embed", json!({"texts": ["a"]})),
            ("/v2/embed", json!({"texts": ["a"]})),
        ] {
            let id = answer(&service, form, request)["id"].as_str().unwrap().to_owned();
            assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
            assert!(ids.insert(id), "{form}: a repeated id");
        }
    }
}

#[test]
fn rankings_are_sorted_and_whole() {
    for (kind, service) in rankers() {
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
        match service.about().similarity_fn_name.as_str() {
            "cosine" => {
                let is_cosine = |score: &f64| (-1.0..=1.0).contains(score);
                assert!(scores.iter().all(is_cosine), "{kind} {scores:?}");
            }
            "dot" => assert!(scores.iter().any(|score| *score > 1.0), "{kind} {scores:?}"),
            // A distance.
            _ => assert!(scores.iter().all(|score| *score < -1.0), "{kind} {scores:?}"),
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
    for (kind, service) in rankers() {
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
