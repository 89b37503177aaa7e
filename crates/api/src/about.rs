//! A description of a service: models, limits, version.

use std::collections::BTreeMap;

use semblance::Model;
use semblance::outcome::Scorer;
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
    /// Name of the prompt of a text that is neither a query nor a document, if there is one.
    pub default_prompt_name: Option<String>,
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
    /// Always null: passes are limited by tokens, not by requests.
    pub max_batch_requests: Option<usize>,
    /// Number of threads that tokenize concurrently: at most one for each concurrent request.
    pub tokenization_workers: usize,
    /// The function that scores two embeddings: `cosine`, `dot`, `euclidean` or `manhattan`.
    pub similarity_fn_name: String,
    /// Whether a folder of indexes is configured.
    pub has_indexes: bool,
    /// Version of this software.
    pub version: &'static str,
    /// Always null: the version identifies the software.
    pub sha: Option<String>,
    /// Always null: the software is not a container image.
    pub docker_label: Option<String>,
}

impl About {
    pub(crate) fn new(model: &Model, options: ServiceOptions) -> Self {
        let info = model.info();
        Self {
            model_id: info.name.clone(),
            model_sha: info.digest.clone(),
            model_dtype: info.precision.clone(),
            model_type: ModelType::new(model),
            dimensions: info.dimensions,
            prompts: info.prompts.keys().cloned().collect(),
            default_prompt_name: info.default_prompt.clone(),
            cross_encoder: model.cross_encoder().map(|info| AboutCrossEncoder {
                model_id: info.name.clone(),
                model_sha: info.digest.clone(),
                model_dtype: info.precision.clone(),
                labels: info.labels.len(),
                max_input_length: info.max_tokens,
            }),
            max_input_length: info.max_tokens,
            max_batch_tokens: options.batch_tokens,
            max_client_batch_size: options.limits.texts,
            max_text_bytes: options.limits.text_bytes,
            max_concurrent_requests: options.concurrency.get(),
            auto_truncate: options.limits.auto_truncate,
            max_batch_requests: None,
            tokenization_workers: options.concurrency.get(),
            similarity_fn_name: info.similarity.to_string(),
            has_indexes: false,
            version: env!("CARGO_PKG_VERSION"),
            sha: None,
            docker_label: None,
        }
    }

    /// Name of the model that scores the texts of a rerank.
    pub(crate) fn scorer(&self, scorer: Scorer) -> &str {
        match (&self.cross_encoder, scorer) {
            (Some(cross_encoder), Scorer::CrossEncoder) => &cross_encoder.model_id,
            _ => &self.model_id,
        }
    }

    /// Maximum number of tokens of one text or pair of a rerank.
    pub(crate) fn max_rerank_tokens(&self) -> usize {
        let pair = self.cross_encoder.as_ref().map_or(0, |model| model.max_input_length);
        self.max_input_length.max(pair)
    }

    /// Names of the models, the embedding model first.
    pub(crate) fn models(&self) -> Vec<String> {
        let cross_encoder = self.cross_encoder.iter().map(|model| model.model_id.clone());
        let embedding = matches!(self.model_type, ModelType::Embedding { .. });
        embedding.then(|| self.model_id.clone()).into_iter().chain(cross_encoder).collect()
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
    /// A cross-encoder with one label. The service has no embedding model.
    Reranker {
        /// Names of the labels by index.
        id2label: BTreeMap<String, String>,
        /// Indices of the labels by name.
        label2id: BTreeMap<String, usize>,
    },
    /// A cross-encoder with several labels. The service has no embedding model.
    Classifier {
        /// Names of the labels by index.
        id2label: BTreeMap<String, String>,
        /// Indices of the labels by name.
        label2id: BTreeMap<String, usize>,
    },
}

impl ModelType {
    fn new(model: &Model) -> Self {
        let labels = match model.cross_encoder() {
            Some(cross_encoder) if !model.embeds() => &cross_encoder.labels,
            _ => return Self::Embedding { pooling: model.info().pooling.clone() },
        };
        let named = labels.iter().enumerate();
        let id2label = named.clone().map(|(i, name)| (i.to_string(), name.clone())).collect();
        let label2id = named.map(|(i, name)| (name.clone(), i)).collect();
        match labels.len() {
            1 => Self::Reranker { id2label, label2id },
            _ => Self::Classifier { id2label, label2id },
        }
    }
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
