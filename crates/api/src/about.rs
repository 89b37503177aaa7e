//! A description of a service: models, limits, version.

use semblance::Model;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ServiceOptions;

/// The models and limits of a service. The fields are those of text-embeddings-inference, and a few
/// more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct About {
    /// Name of the embedding model.
    pub model_id: String,
    /// Digest of its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub model_sha: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub model_dtype: String,
    /// The type of the model.
    pub model_type: ModelType,
    /// Number of dimensions of an embedding.
    pub dimensions: usize,
    /// Names of its prompts.
    pub prompts: Vec<String>,
    /// The cross-encoder, if there is one.
    pub cross_encoder: Option<AboutCrossEncoder>,
    /// Maximum number of tokens of one text, special tokens included.
    pub max_input_length: usize,
    /// Maximum number of tokens of one forward pass, padding included.
    pub max_batch_tokens: usize,
    /// Maximum number of texts of one request.
    pub max_client_batch_size: usize,
    /// Maximum size of one text in bytes (UTF-8).
    pub max_text_bytes: usize,
    /// Maximum number of concurrent requests.
    pub max_concurrent_requests: usize,
    /// Whether texts beyond the model's limit are truncated by default.
    pub auto_truncate: bool,
    /// Version of this software.
    pub version: &'static str,
}

impl About {
    pub(crate) fn new(model: &Model, options: ServiceOptions) -> Self {
        let info = model.info();
        Self {
            model_id: info.name.clone(),
            model_sha: info.digest.clone(),
            model_dtype: info.precision.clone(),
            model_type: ModelType::Embedding { pooling: info.pooling.clone() },
            dimensions: info.dimensions,
            prompts: info.prompts.keys().cloned().collect(),
            cross_encoder: model.cross_encoder().map(|info| AboutCrossEncoder {
                model_id: info.name.clone(),
                model_sha: info.digest.clone(),
                model_dtype: info.precision.clone(),
                labels: info.labels,
                max_input_length: info.max_tokens,
            }),
            max_input_length: info.max_tokens,
            max_batch_tokens: options.batch_tokens,
            max_client_batch_size: options.limits.texts,
            max_text_bytes: options.limits.text_bytes,
            max_concurrent_requests: options.concurrency.get(),
            auto_truncate: false,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Names of the models, the embedding model first.
    pub(crate) fn models(&self) -> Vec<String> {
        let cross_encoder = self.cross_encoder.iter().map(|model| model.model_id.clone());
        std::iter::once(self.model_id.clone()).chain(cross_encoder).collect()
    }
}

/// The type of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    /// An embedding model.
    Embedding {
        /// How token embeddings are pooled.
        pooling: String,
    },
}

/// A cross-encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AboutCrossEncoder {
    /// Name of the model.
    pub model_id: String,
    /// Digest of its bundle: sha256 of the manifest, 64 lowercase hex digits.
    pub model_sha: String,
    /// Number format of its weights: `fp32` or `int8`.
    pub model_dtype: String,
    /// Number of scores per pair.
    pub labels: usize,
    /// Maximum number of tokens of one pair, special tokens included.
    pub max_input_length: usize,
}
