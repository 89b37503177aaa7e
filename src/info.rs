//! What a loaded model is.

use std::collections::BTreeMap;

/// An embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// Its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub digest: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub precision: String,
    /// How token embeddings become one vector: `mean`, `cls` or `max`.
    pub pooling: String,
    /// Whether embeddings have unit length unless a call asks otherwise.
    pub normalizes: bool,
    /// Dimensions of an embedding.
    pub dimensions: usize,
    /// Prompts by name.
    pub prompts: BTreeMap<String, String>,
    /// Most tokens of one text, special tokens included.
    pub max_tokens: usize,
}

/// A cross-encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossEncoderInfo {
    /// Its name.
    pub name: String,
    /// Its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub digest: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub precision: String,
    /// Scores for each pair.
    pub labels: usize,
    /// Most tokens of one pair, special tokens included.
    pub max_tokens: usize,
}
