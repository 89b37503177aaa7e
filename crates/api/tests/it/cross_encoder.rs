//! The cross-encoder: tokenization, truncation and scores are those of `transformers`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::OnceLock;

use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits};
use semblance::{Model, Options};
use semblance_api::{ApiError, RequestError, Service};
use semblance_test_support::{
    Breakable, assert_close, bundle, cross_encoder_bundle, library, load, repository, service,
    service_of,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run;

/// Maximum difference of a logit. The difference of a score is smaller.
const LOGIT_TOLERANCE: f32 = 2e-5;

#[derive(Deserialize)]
struct Golden {
    max_tokens: usize,
    labels: usize,
    pairs: Vec<GoldenPair>,
    texts: Vec<GoldenText>,
}

#[derive(Deserialize)]
struct GoldenText {
    text: String,
    truncated: bool,
    input_ids: Vec<i32>,
    logits: Vec<f32>,
    scores: Vec<f32>,
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

impl GoldenPair {
    /// Whether the tokenizer of `transformers` returns no tokens for one of the texts:
    /// `[CLS] [SEP] … [SEP]` or `[CLS] … [SEP] [SEP]`.
    fn has_empty_text(&self) -> bool {
        self.input_ids[1] == 102 || self.input_ids[self.input_ids.len() - 2] == 102
    }
}

impl Golden {
    fn without_empty_texts(self) -> Self {
        let pairs: Vec<GoldenPair> =
            self.pairs.into_iter().filter(|pair| !pair.has_empty_text()).collect();
        Self { pairs, ..self }
    }
}

#[test]
fn a_pair_with_an_empty_text_is_an_error() {
    let golden = golden("cross");
    let empty = golden.pairs.iter().filter(|pair| pair.has_empty_text());
    assert!(empty.clone().count() >= 3);
    for pair in empty {
        let error = answer(one_label_service(), "/predict", json!({"inputs": [pair.pair]}));
        let error = error.unwrap_err();
        assert_eq!(error.code().name, "request.empty_text", "{:?}", pair.pair);
    }
}

fn folder(name: &str) -> PathBuf {
    cross_encoder_bundle(name)
}

/// A service with a cross-encoder of one label.
fn one_label_service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| service_of(load(&bundle(), Some(&folder("cross")), NonZeroUsize::MIN)))
}

/// A service with a cross-encoder of three labels.
fn three_label_service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| {
        service_of(load(&bundle(), Some(&folder("cross-labels")), NonZeroUsize::MIN))
    })
}

fn answer(service: &Service, form: &str, request: Value) -> Result<Value, ApiError> {
    run(service, form, request).map(|(reply, _)| reply)
}

#[test]
fn pairs_are_tokenized_as_by_transformers() {
    for name in ["cross", "cross-labels"] {
        let golden = golden(name);
        let files = folder(name);
        let limits = TokenizerLimits { max_tokens: golden.max_tokens, vocabulary_size: 30_522 };
        let (rules, vocabulary) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
        let tokenizer = Tokenizer::from_files(&rules, &vocabulary, limits).unwrap();
        for (index, expected) in golden.pairs.iter().enumerate() {
            let [first, second] = &expected.pair;
            let found =
                tokenizer.encode_pair(first, second, Side::Right, Count::UpToLimit).unwrap();
            assert_eq!(found.input_ids, expected.input_ids, "{name} {index}");
            assert_eq!(found.token_type_ids, expected.token_type_ids, "{name} {index}");
            assert_eq!(found.is_truncated(), expected.truncated, "{name} {index}");
        }
        assert!(golden.pairs.iter().filter(|pair| pair.truncated).count() >= 10, "{name}");
    }
}

#[test]
fn truncation_on_the_left_keeps_the_ends_of_a_pair() {
    let files = folder("cross");
    let limits = TokenizerLimits { max_tokens: 8, vocabulary_size: 30_522 };
    let (rules, vocabulary) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
    let tokenizer = Tokenizer::from_files(&rules, &vocabulary, limits).unwrap();
    let id =
        |word: &str| tokenizer.encode(word, Side::Right, Count::UpToLimit).unwrap().input_ids[1];
    let found = tokenizer
        .encode_pair("one two three four", "five six seven", Side::Left, Count::UpToLimit)
        .unwrap();
    let kept = [id("two"), id("three"), id("four"), 102, id("six"), id("seven"), 102];
    assert_eq!(found.input_ids[1..], kept);
    assert_eq!(found.total_tokens, 10);
}

#[test]
fn rejects_a_limit_that_is_too_small_for_a_pair() {
    let files = folder("cross");
    let limits = TokenizerLimits { max_tokens: 3, vocabulary_size: 30_522 };
    let (rules, vocabulary) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
    let tokenizer = Tokenizer::from_files(&rules, &vocabulary, limits).unwrap();
    let error = tokenizer.for_pairs().err().unwrap();
    assert_eq!(error.to_string(), "max_tokens is 3; the tokenizer adds 3 special tokens");
}

#[test]
fn logits_and_scores_match_transformers() {
    for (name, service) in [("cross", one_label_service()), ("cross-labels", three_label_service())]
    {
        let golden = golden(name).without_empty_texts();
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
fn single_texts_have_the_tokens_logits_and_scores_of_transformers() {
    for (name, service) in [("cross", one_label_service()), ("cross-labels", three_label_service())]
    {
        let golden = golden(name);
        let files = folder(name);
        let limits = TokenizerLimits { max_tokens: golden.max_tokens, vocabulary_size: 30_522 };
        let (rules, vocabulary) = (files.join("tokenizer.json"), files.join("vocabulary.txt"));
        let tokenizer = Tokenizer::from_files(&rules, &vocabulary, limits).unwrap();
        for expected in &golden.texts {
            let found = tokenizer.encode(&expected.text, Side::Right, Count::UpToLimit).unwrap();
            assert_eq!(found.input_ids, expected.input_ids, "{name}");
            assert_eq!(found.is_truncated(), expected.truncated, "{name}");
        }
        assert!(golden.texts.iter().any(|text| text.truncated), "{name}");
        // `[CLS] [SEP]` is an error here.
        let texts: Vec<&GoldenText> =
            golden.texts.iter().filter(|text| text.input_ids.len() > 2).collect();
        assert!(texts.len() >= 20, "{name}");
        for raw_scores in [true, false] {
            let inputs: Vec<[&str; 1]> = texts.iter().map(|text| [text.text.as_str()]).collect();
            let request = json!({"inputs": inputs, "raw_scores": raw_scores, "truncate": true});
            let found = answer(service, "/predict", request).unwrap();
            let mut largest = 0.0f32;
            for (found, expected) in found.as_array().unwrap().iter().zip(&texts) {
                let expected = if raw_scores { &expected.logits } else { &expected.scores };
                assert_eq!(found.as_array().unwrap().len(), expected.len());
                for prediction in found.as_array().unwrap() {
                    let label = prediction["label"].as_str().unwrap().strip_prefix("LABEL_");
                    let label: usize = label.unwrap().parse().unwrap();
                    let score = prediction["score"].as_f64().unwrap() as f32;
                    largest = largest.max((score - expected[label]).abs());
                }
            }
            println!(
                "{name}: {} single texts, raw {raw_scores}, largest difference {largest:e}",
                texts.len()
            );
            assert!(largest <= LOGIT_TOLERANCE, "{name} {raw_scores} {largest:e}");
        }
    }
}

#[test]
fn a_text_a_pair_and_a_mixed_list_can_be_scored() {
    let (service, text, pair) = (three_label_service(), "It was built in 1890", ["old?", "yes"]);
    let predicted = |inputs: Value| answer(service, "/predict", json!({"inputs": inputs})).unwrap();
    let one = predicted(json!(text));
    assert_eq!(one.as_array().unwrap().len(), 3);
    assert_close(&predicted(json!([text])), &one);
    let mixed = predicted(json!([[text], pair]));
    assert_close(&mixed, &json!([one, predicted(json!(pair))]));
    // A single text is not a pair with an empty text.
    assert_ne!(one, predicted(json!([text, text])));
    let cases = [
        (json!(""), "inputs"),
        (json!([""]), "inputs[0]"),
        (json!([["a"], [" "]]), "inputs[1][0]"),
        (json!([["a", ""]]), "inputs[0][1]"),
    ];
    for (inputs, field) in cases {
        let error = answer(service, "/predict", json!({"inputs": inputs})).unwrap_err();
        assert_eq!(error.code().name, "request.empty_text");
        assert_eq!(error.field().unwrap().to_string(), field, "{inputs}");
    }
    let request = json!({"inputs": [["a"], [""], ["b", "c"]], "on_error": "null"});
    let found = answer(service, "/predict", request).unwrap();
    assert_eq!(found["results"][1], Value::Null);
    assert_eq!(found["errors"][0]["index"], 1);
    let request = json!({"inputs": "word ".repeat(200), "truncate": false});
    let error = answer(service, "/predict", request).unwrap_err();
    assert_eq!(error.code().name, "request.too_many_tokens");
}

#[test]
fn labels_are_sorted_and_one_pair_returns_one_list() {
    let request = json!({"inputs": ["How many people live in London?", "Around 9 Million"]});
    let one = answer(three_label_service(), "/predict", request.clone()).unwrap();
    let scores: Vec<f64> =
        one.as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 3);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let many = json!({"inputs": [request["inputs"]]});
    assert_close(&answer(three_label_service(), "/predict", many).unwrap(), &json!([one]));
}

#[test]
fn rerank_uses_the_cross_encoder_if_it_has_one_label() {
    let (query, texts) = ("How many people live in London?", ["9 million", "a river", "9 million"]);
    let request = json!({"query": query, "texts": texts, "return_text": true});
    let ranks = answer(one_label_service(), "/rerank", request.clone()).unwrap();
    let pairs: Vec<[&str; 2]> = texts.iter().map(|text| [query, text]).collect();
    let scores = answer(one_label_service(), "/predict", json!({"inputs": pairs})).unwrap();
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
    let cohere = answer(one_label_service(), "/v1/rerank", cohere).unwrap();
    assert_eq!(cohere["meta"]["scored_by"], "cross-encoder");
    assert_close(&cohere["results"][0]["relevance_score"], &ranks[0]["score"]);

    for service in [service(), three_label_service()] {
        let ranks = answer(service, "/rerank", request.clone()).unwrap();
        assert_eq!(ranks[0]["scored_by"], "bi-encoder", "ranking requires one score per pair");
        let event = json!({"query_from_app": query, "actual_queries": texts});
        let scores = answer(service, "event", event).unwrap();
        assert_close(&ranks[0]["score"], &scores["Scores"][0][1]);
    }
}

#[test]
fn the_score_of_a_pair_does_not_depend_on_other_pairs() {
    let golden = golden("cross").without_empty_texts();
    let pairs: Vec<&[String; 2]> = golden.pairs.iter().map(|pair| &pair.pair).collect();
    let twice: Vec<_> = pairs.iter().chain(&pairs).collect();
    let request = json!({"inputs": twice, "raw_scores": true, "truncate": true});
    let among = answer(one_label_service(), "/predict", request).unwrap();
    for (index, pair) in pairs.iter().enumerate().step_by(9) {
        let request = json!({"inputs": [pair], "raw_scores": true, "truncate": true});
        let alone = answer(one_label_service(), "/predict", request).unwrap();
        let of = |value: &Value| value[0]["score"].as_f64().unwrap();
        assert!((of(&alone[0]) - of(&among[index])).abs() <= 1e-5, "{index}");
        assert_eq!(among[index], among[index + pairs.len()], "{index}");
    }
}

#[test]
fn a_pair_that_is_too_long_is_an_error_with_its_field() {
    let long = "cat ".repeat(200);
    let cases = [
        ("/predict", json!({"inputs": [["a", "b"], ["a", long]]}), "inputs[1]"),
        ("/predict", json!({"inputs": ["a", long]}), "inputs"),
        ("/rerank", json!({"query": "a", "texts": ["b", long]}), "texts[1]"),
    ];
    for (form, request, field) in cases {
        let mut refused = request.clone();
        refused["truncate"] = json!(false);
        let error = answer(one_label_service(), form, refused).unwrap_err();
        let ApiError::Request(RequestError::TooManyTokens { field: found, tokens, .. }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((found.to_string().as_str(), tokens), (field, 204));
        let mut truncated = request;
        truncated["truncate"] = json!(true);
        let (_, report) = run(one_label_service(), form, truncated).unwrap();
        assert_eq!(report.cost.truncated.len(), 1, "truncation is reported");
    }
}

#[test]
fn predict_requires_a_cross_encoder() {
    let error = answer(service(), "/predict", json!({"inputs": ["a", "b"]})).unwrap_err();
    assert_eq!(error.code().name, "request.no_cross_encoder");
}

#[test]
fn a_service_can_have_only_a_cross_encoder() {
    let load = |name: &str| {
        let options = Options {
            library: library(),
            cross_encoder: Some(folder(name)),
            warm_up: true,
            ..Options::default()
        };
        service_of(Model::load_cross_encoder(options).unwrap())
    };
    let service = load("cross");
    let about = serde_json::to_value(service.about()).unwrap();
    let label = json!({"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}});
    assert_eq!(about["model_type"], json!({"reranker": label}));
    assert_eq!(about["model_id"], about["cross_encoder"]["model_id"]);
    let models = answer(&service, "/api/show", json!({})).unwrap();
    assert_eq!(models["capabilities"], json!([]));
    let request = json!({"query": "a", "texts": ["b", "a"]});
    let expected = answer(one_label_service(), "/rerank", request.clone()).unwrap();
    assert_close(&answer(&service, "/rerank", request).unwrap(), &expected);
    let tokens = answer(&service, "/tokenize", json!({"inputs": "London"})).unwrap();
    assert_eq!(tokens[0].as_array().unwrap().len(), 3);
    for (form, request) in [
        ("/embed", json!({"inputs": "a"})),
        ("/embed", json!({"inputs": [101, 102]})),
        ("/embed_all", json!({"inputs": "a"})),
        ("/v1/embeddings", json!({"input": "a"})),
        ("event", json!({"query_from_app": "a", "actual_queries": ["b"]})),
        ("event", json!({"query_from_app": "a", "actual_queries": []})),
    ] {
        let error = answer(&service, form, request).unwrap_err();
        assert_eq!(error.code().name, "request.no_embedding_model", "{form}");
    }
    let classifier = load("cross-labels");
    // SageMaker and Inference Endpoints send the body of the model's task to one path.
    let request = json!({"inputs": [["a text"], ["a", "b"]]});
    let expected = answer(three_label_service(), "/predict", request.clone()).unwrap();
    for form in ["/", "/invocations", "event"] {
        assert_close(&answer(&classifier, form, request.clone()).unwrap(), &expected);
    }
    let classifier = serde_json::to_value(classifier.about()).unwrap();
    assert_eq!(classifier["model_type"]["classifier"]["id2label"]["2"], "LABEL_2");
    let none = Options { library: library(), ..Options::default() };
    let error = Model::load_cross_encoder(none).err().unwrap();
    assert_eq!(error.code().name, "bundle.missing");
}

#[test]
fn labels_have_the_names_of_the_model() {
    let names = ["contradiction", "entailment", "neutral"];
    let bundle = Breakable::of(&folder("cross-labels"))
        .with_manifest(|manifest| manifest["label_names"] = json!(names));
    let options = Options {
        library: library(),
        cross_encoder: Some(bundle.path().to_path_buf()),
        ..Options::default()
    };
    let service = service_of(Model::load_cross_encoder(options).unwrap());
    let request = json!({"inputs": [["a man sleeps", "a man is awake"], ["a text"]]});
    let expected = answer(three_label_service(), "/predict", request.clone()).unwrap();
    for form in ["/predict", "/", "/invocations", "event"] {
        let found = answer(&service, form, request.clone()).unwrap();
        for (pair, expected) in found.as_array().unwrap().iter().zip(expected.as_array().unwrap()) {
            for (label, expected) in
                pair.as_array().unwrap().iter().zip(expected.as_array().unwrap())
            {
                assert_close(&label["score"], &expected["score"]);
                let index = expected["label"].as_str().unwrap().strip_prefix("LABEL_").unwrap();
                assert_eq!(label["label"], names[index.parse::<usize>().unwrap()], "{form}");
            }
        }
    }
    let about = serde_json::to_value(service.about()).unwrap();
    let classifier = &about["model_type"]["classifier"];
    assert_eq!(classifier["id2label"], json!({"0": names[0], "1": names[1], "2": names[2]}));
    assert_eq!(classifier["label2id"]["neutral"], 2);
}

#[test]
fn about_and_warm_up_include_both_models() {
    let about = one_label_service().about();
    let cross_encoder = about.cross_encoder.as_ref().unwrap();
    assert_eq!(
        (cross_encoder.labels, cross_encoder.max_input_length),
        (1, golden("cross").max_tokens)
    );
    assert_eq!(about.model_id, "all-minilm-l6-v2");
    one_label_service().model().warm_up().unwrap();
}
