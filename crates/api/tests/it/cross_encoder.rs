//! The cross-encoder: pairs are tokenised, cut and scored as `transformers` does it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::OnceLock;

use semblance::internals::tokenizer::{Side, Tokenizer, TokenizerLimits};
use semblance_api::{ApiError, RequestError, Service};
use semblance_test_support::{
    assert_close, bundle, cross_encoder_bundle, load, repository, service, service_of,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run;

/// Largest difference of a logit; of a score it is less.
const LOGIT_TOLERANCE: f32 = 2e-5;

#[derive(Deserialize)]
struct Golden {
    max_tokens: usize,
    labels: usize,
    pairs: Vec<GoldenPair>,
}

#[derive(Deserialize)]
struct GoldenPair {
    pair: [String; 2],
    truncated: bool,
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    logits: Vec<f32>,
    scores: Vec<f32>,
}

fn golden(name: &str) -> Golden {
    let file = repository("tests/data/golden-cross").join(name).with_extension("json");
    let golden: Golden = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(golden.pairs.len() >= 60);
    golden
}

fn folder(name: &str) -> PathBuf {
    cross_encoder_bundle(name)
}

/// A service with the cross-encoder of one label.
fn reranking() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| service_of(load(&bundle(), Some(&folder("cross")), NonZeroUsize::MIN)))
}

/// A service with the cross-encoder of three labels.
fn labelling() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| {
        service_of(load(&bundle(), Some(&folder("cross-labels")), NonZeroUsize::MIN))
    })
}

fn answer(service: &Service, form: &str, request: Value) -> Result<Value, ApiError> {
    run(service, form, request).map(|(reply, _)| reply)
}

#[test]
fn pairs_are_packed_and_cut_as_transformers_does_it() {
    for name in ["cross", "cross-labels"] {
        let golden = golden(name);
        let files = folder(name);
        let limits = TokenizerLimits { max_tokens: golden.max_tokens, vocabulary_size: 30_522 };
        let (rules, words) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
        let tokenizer = Tokenizer::from_files(&rules, &words, limits).unwrap();
        for (index, expected) in golden.pairs.iter().enumerate() {
            let [first, second] = &expected.pair;
            let found = tokenizer.encode_pair(first, second, Side::Right).unwrap();
            assert_eq!(found.input_ids, expected.input_ids, "{name} {index}");
            assert_eq!(found.token_type_ids, expected.token_type_ids, "{name} {index}");
            assert_eq!(found.is_truncated(), expected.truncated, "{name} {index}");
        }
        assert!(golden.pairs.iter().filter(|pair| pair.truncated).count() >= 10, "{name}");
    }
}

#[test]
fn a_pair_cut_on_the_left_keeps_its_ends() {
    let files = folder("cross");
    let limits = TokenizerLimits { max_tokens: 8, vocabulary_size: 30_522 };
    let (rules, words) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
    let tokenizer = Tokenizer::from_files(&rules, &words, limits).unwrap();
    let id = |word: &str| tokenizer.encode(word, Side::Right).unwrap().input_ids[1];
    let found = tokenizer.encode_pair("one two three four", "five six seven", Side::Left).unwrap();
    let kept = [id("two"), id("three"), id("four"), 102, id("six"), id("seven"), 102];
    assert_eq!(found.input_ids[1..], kept);
    assert_eq!(found.total_tokens, 10);
}

#[test]
fn a_limit_without_room_for_a_pair_is_refused_at_the_start() {
    let files = folder("cross");
    let limits = TokenizerLimits { max_tokens: 3, vocabulary_size: 30_522 };
    let (rules, words) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
    let tokenizer = Tokenizer::from_files(&rules, &words, limits).unwrap();
    let error = tokenizer.for_pairs().err().unwrap();
    assert_eq!(error.to_string(), "max_tokens is 3, but the tokenizer adds 3 special tokens");
}

#[test]
fn logits_and_scores_are_those_of_transformers() {
    for (name, service) in [("cross", reranking()), ("cross-labels", labelling())] {
        let golden = golden(name);
        let pairs: Vec<&[String; 2]> = golden.pairs.iter().map(|pair| &pair.pair).collect();
        for raw_scores in [true, false] {
            let request = json!({"inputs": pairs, "raw_scores": raw_scores, "truncate": true});
            let found = answer(service, "/predict", request).unwrap();
            let mut largest = 0.0f32;
            for (found, expected) in found.as_array().unwrap().iter().zip(&golden.pairs) {
                let expected = if raw_scores { &expected.logits } else { &expected.scores };
                assert_eq!(found.as_array().unwrap().len(), golden.labels);
                for prediction in found.as_array().unwrap() {
                    let label = prediction["label"].as_str().unwrap().strip_prefix("LABEL_");
                    let label: usize = label.unwrap().parse().unwrap();
                    let score = prediction["score"].as_f64().unwrap() as f32;
                    largest = largest.max((score - expected[label]).abs());
                }
            }
            println!("{name}: raw {raw_scores}, largest difference {largest:e}");
            assert!(largest <= LOGIT_TOLERANCE, "{name} {raw_scores} {largest:e}");
        }
    }
}

#[test]
fn labels_stand_best_first_and_one_pair_has_one_list() {
    let request = json!({"inputs": ["How many people live in London?", "Around 9 Million"]});
    let one = answer(labelling(), "/predict", request.clone()).unwrap();
    let scores: Vec<f64> =
        one.as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 3);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let many = json!({"inputs": [request["inputs"]]});
    assert_close(&answer(labelling(), "/predict", many).unwrap(), &json!([one]));
}

#[test]
fn texts_are_ranked_by_the_cross_encoder_where_there_is_one() {
    let (query, texts) = ("How many people live in London?", ["9 million", "a river", "9 million"]);
    let request = json!({"query": query, "texts": texts, "return_text": true});
    let ranks = answer(reranking(), "/rerank", request.clone()).unwrap();
    let pairs: Vec<[&str; 2]> = texts.iter().map(|text| [query, text]).collect();
    let scores = answer(reranking(), "/predict", json!({"inputs": pairs})).unwrap();
    for rank in ranks.as_array().unwrap() {
        let index = usize::try_from(rank["index"].as_u64().unwrap()).unwrap();
        assert_close(&rank["score"], &scores[index][0]["score"]);
        assert_eq!(rank["text"], texts[index]);
        assert!(rank.get("scored_by").is_none(), "{rank}");
    }
    let order: Vec<f64> =
        ranks.as_array().unwrap().iter().map(|rank| rank["score"].as_f64().unwrap()).collect();
    assert!(order.is_sorted_by(|a, b| a >= b) && order.len() == 3, "{order:?}");
    let cohere = json!({"query": query, "documents": texts, "top_n": 1});
    let cohere = answer(reranking(), "/v1/rerank", cohere).unwrap();
    assert_eq!(cohere["meta"]["scored_by"], "cross-encoder");
    assert_close(&cohere["results"][0]["relevance_score"], &ranks[0]["score"]);

    for service in [service(), labelling()] {
        let ranks = answer(service, "/rerank", request.clone()).unwrap();
        assert_eq!(ranks[0]["scored_by"], "bi-encoder", "one score a pair is needed to rank");
        let event = json!({"query_from_app": query, "actual_queries": texts});
        let scores = answer(service, "event", event).unwrap();
        assert_close(&ranks[0]["score"], &scores["Scores"][0][1]);
    }
}

#[test]
fn a_pair_does_not_depend_on_its_company_or_on_repetition() {
    let golden = golden("cross");
    let pairs: Vec<&[String; 2]> = golden.pairs.iter().map(|pair| &pair.pair).collect();
    let twice: Vec<_> = pairs.iter().chain(&pairs).collect();
    let request = json!({"inputs": twice, "raw_scores": true, "truncate": true});
    let among = answer(reranking(), "/predict", request).unwrap();
    for (index, pair) in pairs.iter().enumerate().step_by(9) {
        let request = json!({"inputs": [pair], "raw_scores": true, "truncate": true});
        let alone = answer(reranking(), "/predict", request).unwrap();
        let of = |value: &Value| value[0]["score"].as_f64().unwrap();
        assert!((of(&alone[0]) - of(&among[index])).abs() <= 1e-5, "{index}");
        assert_eq!(among[index], among[index + pairs.len()], "{index}");
    }
}

#[test]
fn a_pair_that_may_not_be_cut_is_refused_with_its_field() {
    let long = "cat ".repeat(200);
    let cases = [
        ("/predict", json!({"inputs": [["a", "b"], ["a", long]]}), "inputs[1]"),
        ("/predict", json!({"inputs": ["a", long]}), "inputs"),
        ("/rerank", json!({"query": "a", "texts": ["b", long]}), "texts[1]"),
    ];
    for (form, request, field) in cases {
        let error = answer(reranking(), form, request.clone()).unwrap_err();
        let ApiError::Request(RequestError::TooManyTokens { field: found, tokens, .. }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((found.to_string().as_str(), tokens), (field, 204));
        let mut cut = request;
        cut["truncate"] = json!(true);
        let (_, report) = run(reranking(), form, cut).unwrap();
        assert_eq!(report.cost.truncated.len(), 1, "truncation is reported");
    }
}

#[test]
fn without_a_cross_encoder_pairs_are_not_predicted() {
    let error = answer(service(), "/predict", json!({"inputs": ["a", "b"]})).unwrap_err();
    assert_eq!(error.code().name, "request.no_cross_encoder");
}

#[test]
fn both_models_are_told_and_touched() {
    let about = reranking().about();
    let cross_encoder = about.cross_encoder.as_ref().unwrap();
    assert_eq!(
        (cross_encoder.labels, cross_encoder.max_input_length),
        (1, golden("cross").max_tokens)
    );
    assert_eq!(about.model_id, "all-minilm-l6-v2");
    reranking().model().warm_up().unwrap();
}
