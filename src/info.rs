//! Properties of a loaded model.

use std::collections::BTreeMap;

/// Properties of an embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name of the model.
    pub name: String,
    /// Digest of its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub digest: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub precision: String,
    /// How token embeddings are pooled: the names of the poolings in the manifest, joined by `+`.
    pub pooling: String,
    /// Whether embeddings have unit length by default.
    pub normalizes: bool,
    /// Number of dimensions of an embedding.
    pub dimensions: usize,
    /// Prompts by name.
    pub prompts: BTreeMap<String, String>,
    /// Maximum number of tokens of one text, special tokens included.
    pub max_tokens: usize,
}

/// Properties of a cross-encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossEncoderInfo {
    /// Name of the model.
    pub name: String,
    /// Digest of its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub digest: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub precision: String,
    /// Number of scores per pair.
    pub labels: usize,
    /// Maximum number of tokens of one pair, special tokens included.
    pub max_tokens: usize,
}
