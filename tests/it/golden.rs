//! The real model compared with embeddings and scores of sentence-transformers.

use std::num::NonZeroUsize;

use semblance::internals::kernels::Kernels;
use semblance::options::InstructionSet;
use semblance::{EmbedOptions, LoadError, Model, ModelError, Options, Truncation};
use semblance_test_support::{bundle, library, repository, service};
use serde::Deserialize;

/// Maximum difference of one element of an embedding.
const ELEMENT_TOLERANCE: f32 = 2e-5;
/// Maximum difference of a score.
const SCORE_TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
pub(crate) struct Golden {
    example: Example,
    pub(crate) texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Example {
    query: String,
    scores: Vec<Score>,
}

#[derive(Deserialize)]
struct Score {
    text: String,
    score: f32,
}

#[derive(Deserialize)]
pub(crate) struct Text {
    pub(crate) text: String,
    tokens: usize,
    truncated: bool,
    pub(crate) embedding: Vec<f32>,
}

/// Returns the golden vectors of the texts that have tokens.
pub(crate) fn golden() -> Golden {
    let golden = all();
    Golden { texts: golden.texts.into_iter().filter(|text| !text.is_empty()).collect(), ..golden }
}

/// Returns the golden vectors of every text.
fn all() -> Golden {
    let file = repository("tests/data/golden/all-minilm-l6-v2.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

impl Text {
    /// Whether the tokenizer of sentence-transformers returns only `[CLS]` and `[SEP]`.
    fn is_empty(&self) -> bool {
        self.tokens == 2
    }
}

#[test]
fn a_text_is_empty_if_it_has_only_special_tokens() {
    let texts = all().texts;
    assert!(texts.iter().filter(|text| text.is_empty()).count() >= 5);
    let model = service().model();
    for text in &texts {
        let faults = model.text_faults(&[&text.text], None, Truncation::Right).unwrap();
        assert_eq!(faults.len(), usize::from(text.is_empty()), "{:?}", text.text);
        if text.is_empty() {
            let error = model.embed(&["London", &text.text]).unwrap_err();
            assert!(matches!(error, ModelError::EmptyText { index: 1, .. }), "{error}");
        }
    }
}

#[test]
fn embeddings_match_sentence_transformers() {
    let golden = golden();
    assert!(golden.texts.len() >= 100);
    let texts: Vec<String> = golden.texts.iter().map(|text| text.text.clone()).collect();
    let model = service().model();
    let embedded = model.embed_with(&texts, &EmbedOptions::default()).unwrap();
    let mut largest = 0.0f32;
    for (index, expected) in golden.texts.iter().enumerate() {
        assert_eq!(embedded.tokens[index], (expected.tokens, expected.truncated), "{index}");
        for (found, expected) in embedded.vectors.row(index).iter().zip(&expected.embedding) {
            largest = largest.max((found - expected).abs());
        }
    }
    println!("golden: {} texts, largest difference of an element {largest:e}", texts.len());
    assert!(largest <= ELEMENT_TOLERANCE, "{largest:e}");
}

#[test]
fn embeddings_match_with_every_instruction_set_of_the_machine() {
    let golden = golden();
    let mut sets = Vec::new();
    for set in InstructionSet::ALL {
        let options = Options {
            library: library(),
            threads: NonZeroUsize::MIN,
            instruction_set: Some(set),
            ..Options::default()
        };
        let model = match Model::load(bundle(), options) {
            Ok(model) => model,
            Err(LoadError::InstructionSet { set: refused }) => {
                assert_eq!(refused, set);
                assert!(Kernels::of(set).is_none(), "{set}");
                continue;
            }
            Err(error) => panic!("{set}: {error}"),
        };
        // Without vector instructions a pass takes much longer.
        let step = if set == InstructionSet::Portable { 100 } else { 1 };
        let chosen: Vec<&Text> = golden.texts.iter().step_by(step).collect();
        let texts: Vec<&str> = chosen.iter().map(|text| text.text.as_str()).collect();
        let vectors = model.embed(&texts).unwrap();
        let mut largest = 0.0f32;
        for (row, expected) in chosen.iter().enumerate() {
            for (found, expected) in vectors.row(row).iter().zip(&expected.embedding) {
                largest = largest.max((found - expected).abs());
            }
        }
        println!("golden: {set}, {} texts, largest difference {largest:e}", texts.len());
        assert!(largest <= ELEMENT_TOLERANCE, "{set}: {largest:e}");
        sets.push(set);
    }
    assert!(sets.len() >= 2, "{sets:?}");
}

#[test]
fn scores_match_sentence_transformers() {
    let golden = golden();
    let texts: Vec<String> = golden.texts.iter().map(|text| text.text.clone()).collect();
    let mut largest = 0.0f32;
    // Every thirtieth text is a query. More queries would only compute the same embeddings again.
    for (query, expected) in texts.iter().zip(&golden.texts).step_by(30) {
        let scores = service().model().similarity(query, &texts).unwrap();
        assert_eq!(scores.len(), texts.len());
        for (other, score) in golden.texts.iter().zip(&scores) {
            let pairs = expected.embedding.iter().zip(&other.embedding);
            let expected: f32 = pairs.map(|(a, b)| a * b).sum();
            largest = largest.max((score - expected).abs());
        }
    }
    println!("golden: largest difference of a score {largest:e}");
    assert!(largest <= SCORE_TOLERANCE, "{largest:e}");
}

#[test]
fn the_example_event_matches_sentence_transformers() {
    let example = golden().example;
    let texts: Vec<&str> = example.scores.iter().map(|score| score.text.as_str()).collect();
    let scores = service().model().similarity(&example.query, &texts).unwrap();
    for (score, expected) in scores.iter().zip(&example.scores) {
        assert!((score - expected.score).abs() <= SCORE_TOLERANCE, "{score} {}", expected.score);
    }
}
