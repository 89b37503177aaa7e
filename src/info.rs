//! Properties of a loaded model.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::options::Prompts;
pub use crate::vector::SimilarityFunction;

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
    /// The function that scores two embeddings.
    pub similarity: SimilarityFunction,
    /// Number of dimensions of an embedding.
    pub dimensions: usize,
    /// Prompts by name.
    pub prompts: BTreeMap<String, String>,
    /// Name of the prompt of a text that is neither a query nor a document, if the model has one.
    pub default_prompt: Option<String>,
    /// Maximum number of tokens of one text, special tokens included.
    pub max_tokens: usize,
}

/// Names of the prompt of a document, in order of preference.
///
/// Source: `SentenceTransformer.encode_document` of sentence-transformers.
const DOCUMENT_PROMPTS: [&str; 3] = ["document", "passage", "corpus"];

impl ModelInfo {
    /// Name of the prompt of a query, if the model has one: `query`.
    #[must_use]
    pub fn query_prompt(&self) -> Option<&str> {
        self.prompts.get_key_value("query").map(|(name, _)| name.as_str())
    }

    /// Name of the prompt of a document, if the model has one: the first of `document`, `passage` and
    /// `corpus`.
    #[must_use]
    pub fn document_prompt(&self) -> Option<&str> {
        let own = |name: &&str| self.prompts.contains_key(*name);
        DOCUMENT_PROMPTS.into_iter().find(own)
    }

    /// Name of the prompt of a text that is neither a query nor a document.
    #[must_use]
    pub fn text_prompt<'a>(&'a self, prompts: &'a Prompts) -> Option<&'a str> {
        match prompts {
            Prompts::ByRole => self.default_prompt.as_deref(),
            Prompts::Named(name) => Some(name),
            Prompts::Off => None,
        }
    }
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
    /// Names of its labels by index. A pair has one score for each.
    pub labels: Vec<String>,
    /// Maximum number of tokens of one pair, special tokens included.
    pub max_tokens: usize,
}

/// The duration of each step of [`Model::load`](crate::Model::load). Loading the tokenizer and requesting the weights
/// run in parallel with loading the library and the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadTimings {
    /// Reading the manifest and checking the sizes of the files.
    pub bundle: Duration,
    /// Loading the tokenizer.
    pub tokenizer: Duration,
    /// Requesting the weights from the file system.
    pub page_in: Duration,
    /// Loading and initializing ONNX Runtime.
    pub library: Duration,
    /// Loading the graph and mapping the weights.
    pub session: Duration,
    /// The first inference, if requested.
    pub warm_up: Duration,
    /// The whole call.
    pub total: Duration,
}
