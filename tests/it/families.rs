//! A small model of each family compared with sentence-transformers.

use std::num::NonZeroUsize;

use semblance_test_support::{bundle, family_bundle, load, repository};
use serde::Deserialize;

/// Maximum difference of one element of an embedding.
const ELEMENT_TOLERANCE: f32 = 2e-5;
/// Maximum difference of a score.
const SCORE_TOLERANCE: f32 = 1e-5;

const FAMILIES: [&str; 7] =
    ["bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet"];

/// ONNX exports, compared with the export in ONNX Runtime, and the last two with transformers: a
/// decoder whose texts were padded on the left, and NomicBERT.
const EXPORTS: [&str; 7] = [
    "export-bert",
    "export-roberta",
    "export-mpnet",
    "export-albert",
    "export-modernbert",
    "export-qwen3",
    "export-nomic",
];

/// BERT with other modules after it.
const MODULES: [&str; 9] = [
    "pooling-cls",
    "pooling-max",
    "pooling-sqrt",
    "pooling-weighted",
    "pooling-last",
    "pooling-several",
    "dense-tanh",
    "dense-twice",
    // RoBERTa with [PAD] and other special tokens inside the texts.
    "padding",
];

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Text>,
    #[serde(default)]
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Pair {
    pair: [String; 2],
    scores: Vec<f32>,
}

fn golden(family: &str) -> Golden {
    let file = repository("tests/data/golden-families").join(family).with_extension("json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn embeddings_of_every_family_module_and_export_match_their_source() {
    for family in FAMILIES.into_iter().chain(MODULES).chain(EXPORTS) {
        let golden = golden(family);
        let texts: Vec<&str> = golden.texts.iter().map(|text| text.text.as_str()).collect();
        let model = load(&family_bundle(family), None, NonZeroUsize::MIN);
        let vectors = model.embed(&texts).unwrap();
        let rows = vectors.outer_iter().zip(&golden.texts);
        let largest = rows
            .map(|(row, text)| largest_difference(row.as_slice().unwrap(), &text.embedding))
            .fold(0.0, f32::max);
        println!("{family}: {} texts, largest difference of an element {largest:e}", texts.len());
        assert!(largest <= ELEMENT_TOLERANCE, "{family}: {largest:e}");
    }
}

#[test]
fn scores_of_every_family_match_sentence_transformers() {
    for family in FAMILIES {
        let golden = golden(family);
        let cross_encoder = family_bundle(&format!("{family}-classifier"));
        let model = load(&bundle(), Some(&cross_encoder), NonZeroUsize::MIN);
        let pairs: Vec<(&str, &str)> =
            golden.pairs.iter().map(|Pair { pair: [a, b], .. }| (a.as_str(), b.as_str())).collect();
        let scores = model.predict(&pairs).unwrap();
        let largest = scores
            .outer_iter()
            .zip(&golden.pairs)
            .map(|(row, pair)| largest_difference(row.as_slice().unwrap(), &pair.scores))
            .fold(0.0, f32::max);
        println!("{family}: {} pairs, largest difference {largest:e}", golden.pairs.len());
        assert!(largest <= SCORE_TOLERANCE, "{family}: {largest:e}");
    }
}
