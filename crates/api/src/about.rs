//! What answers: models, limits, version.

use serde::Serialize;
use utoipa::ToSchema;

/// The models and limits of a service, in the terms of text-embeddings-inference and a few more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct About {
    /// Name of the embedding model.
    pub model_id: String,
    /// Its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub model_sha: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub model_dtype: String,
    /// What it is.
    pub model_type: ModelType,
    /// Width of an embedding.
    pub dimensions: usize,
    /// Names of the prompts that may be put before texts.
    pub prompts: Vec<String>,
    /// The model that reads pairs, if there is one.
    pub cross_encoder: Option<AboutCrossEncoder>,
    /// Most tokens of one text, special tokens included.
    pub max_input_length: usize,
    /// Most tokens of one forward pass, padding counted.
    pub max_batch_tokens: usize,
    /// Most texts of one request.
    pub max_client_batch_size: usize,
    /// Most bytes of one text.
    pub max_text_bytes: usize,
    /// Requests that are worked on at a time.
    pub max_concurrent_requests: usize,
    /// Whether texts beyond the limit are cut unless a request says otherwise.
    pub auto_truncate: bool,
    /// Version of this software.
    pub version: &'static str,
}

/// What an embedding model is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    /// It embeds.
    Embedding {
        /// How token embeddings become one vector.
        pooling: String,
    },
}

/// A cross-encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AboutCrossEncoder {
    /// Name of the model.
    pub model_id: String,
    /// Its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub model_sha: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub model_dtype: String,
    /// Scores a pair.
    pub labels: usize,
    /// Most tokens of one pair, special tokens included.
    pub max_input_length: usize,
}
