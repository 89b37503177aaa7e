//! multilingual-e5-small with its real weights: ids and embeddings of sentence-transformers, and
//! translations that score above other sentences.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use semblance::Model;
use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits};
use semblance_test_support::{load, multilingual_bundle, repository};
use serde::Deserialize;

/// Maximum difference of one element of an embedding.
const ELEMENT_TOLERANCE: f32 = 2e-5;
/// Maximum difference of a score.
const SCORE_TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Sentence>,
}

/// A sentence. Those with the same `meaning` are translations of each other.
#[derive(Deserialize)]
struct Sentence {
    language: String,
    meaning: usize,
    text: String,
    ids: Vec<i32>,
    embedding: Option<Vec<f32>>,
}

fn golden() -> Vec<Sentence> {
    let file = repository("tests/data/golden/multilingual-e5-small.json");
    let golden: Golden = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    golden.texts
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load(&multilingual_bundle(), None, NonZeroUsize::MIN))
}

#[test]
fn ids_match_transformers() {
    let bundle = multilingual_bundle();
    let limits = TokenizerLimits { max_tokens: 512, vocabulary_size: 250_037 };
    let (rules, pieces) = (bundle.join("tokenizer.json"), bundle.join("vocabulary.bin"));
    let tokenizer = Tokenizer::from_files(&rules, &pieces, limits).unwrap();
    for sentence in golden() {
        let encoding = tokenizer.encode(&sentence.text, Side::Right, Count::UpToLimit).unwrap();
        assert_eq!(encoding.input_ids, sentence.ids, "{}", sentence.text);
    }
}

#[test]
fn embeddings_and_scores_match_sentence_transformers() {
    let golden: Vec<(String, Vec<f32>)> = golden()
        .into_iter()
        .filter_map(|sentence| Some((sentence.text, sentence.embedding?)))
        .collect();
    assert_eq!(golden.len(), 21);
    let texts: Vec<&str> = golden.iter().map(|(text, _)| text.as_str()).collect();
    let embedded = model().embed(&texts).unwrap();
    let (mut element, mut score) = (0.0f32, 0.0f32);
    for (index, (text, expected)) in golden.iter().enumerate() {
        for (found, expected) in embedded.row(index).iter().zip(expected) {
            element = element.max((found - expected).abs());
        }
        let scores = model().similarity(text, &texts).unwrap();
        for (found, (_, other)) in scores.iter().zip(&golden) {
            let expected: f32 = expected.iter().zip(other).map(|(a, b)| a * b).sum();
            score = score.max((found - expected).abs());
        }
    }
    println!("multilingual: largest difference of an element {element:e}, of a score {score:e}");
    assert!(element <= ELEMENT_TOLERANCE, "{element:e}");
    assert!(score <= SCORE_TOLERANCE, "{score:e}");
}

#[test]
fn translations_score_above_other_sentences() {
    let sentences = golden();
    let texts: Vec<&str> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    let (english, translations): (Vec<_>, Vec<_>) =
        sentences.iter().partition(|sentence| sentence.language == "en");
    let mut smallest = f32::INFINITY;
    for query in english {
        let scores = model().similarity(&query.text, &texts).unwrap();
        let score = |sentence: &Sentence| {
            scores[texts.iter().position(|&text| text == sentence.text).unwrap()]
        };
        for translation in translations.iter().filter(|it| it.meaning == query.meaning) {
            let others = translations.iter().filter(|it| it.meaning != query.meaning);
            let same = others.filter(|it| it.language == translation.language);
            let other = same.map(|it| score(it)).fold(f32::NEG_INFINITY, f32::max);
            let gap = score(translation) - other;
            assert!(gap > 0.0, "{}: {gap}", translation.text);
            smallest = smallest.min(gap);
        }
    }
    println!("multilingual: {} pairs, smallest gap {smallest}", translations.len());
}
