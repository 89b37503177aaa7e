//! Options of a model and of its calls, with defaults.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::cache::CacheLimit;
pub use crate::kernels::InstructionSet;
use crate::scheduler::PASS_TOKENS;
use crate::tokenizer::{Count, Side};

/// How a model is loaded and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The ONNX Runtime shared library. The default, `libonnxruntime.so`, is found by the dynamic
    /// loader. The PyPI package `onnxruntime` contains the library.
    pub library: PathBuf,
    /// The bundle of a cross-encoder, for [`Model::rerank`](crate::Model::rerank) and
    /// [`Model::predict`](crate::Model::predict).
    pub cross_encoder: Option<PathBuf>,
    /// Threads of a forward pass. Passes run one at a time. The default is the number of CPUs.
    pub threads: NonZeroUsize,
    /// The instruction set of the kernels. The default is the fastest that the processor has; another
    /// one serves to compare them.
    pub instruction_set: Option<InstructionSet>,
    /// Maximum number of tokens in one forward pass. The default is 192.
    pub batch_tokens: usize,
    /// Maximum size of the embedding cache, in bytes; 0 disables the cache. The default is 16 MiB,
    /// about 9,500 vectors of 384 dimensions.
    pub cache_bytes: usize,
    /// Whether [`Model::load`](crate::Model::load) runs the model once, so that its pages are in
    /// memory before the first call. The default is false.
    pub warm_up: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            library: PathBuf::from("libonnxruntime.so"),
            cross_encoder: None,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            instruction_set: None,
            batch_tokens: PASS_TOKENS,
            cache_bytes: CacheLimit::default().bytes,
            warm_up: false,
        }
    }
}

/// How to handle a text with more tokens than the model's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// Tokens at the end are removed.
    #[default]
    Right,
    /// Tokens at the start are removed.
    Left,
    /// The call fails with [`ModelError::TooManyTokens`](crate::ModelError::TooManyTokens).
    Refuse,
}

impl Truncation {
    /// The side of a text from which tokens are removed.
    pub(crate) fn side(self) -> Side {
        match self {
            Self::Left => Side::Left,
            Self::Right | Self::Refuse => Side::Right,
        }
    }

    /// How far the tokens of a text are counted: all of them if the error for a long text states them.
    pub(crate) fn count(self) -> Count {
        match self {
            Self::Left | Self::Right => Count::UpToLimit,
            Self::Refuse => Count::All,
        }
    }
}

/// The prompts that are put before texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Prompts {
    /// The query of a comparison gets the model's prompt `query`. The texts of a comparison get its
    /// prompt `document`, `passage` or `corpus`. A prompt that the model does not have is empty. Other
    /// texts get the model's default prompt, if it has one. This is how `encode_query`,
    /// `encode_document` and `encode` of sentence-transformers select prompts.
    #[default]
    ByRole,
    /// All texts get the prompt of this name.
    Named(String),
    /// There are no prompts.
    Off,
}

impl Prompts {
    /// Returns the prompt of a name, or no prompt.
    #[must_use]
    pub fn named(name: Option<&str>) -> Self {
        name.map_or(Self::Off, |name| Self::Named(name.to_owned()))
    }
}

/// Options of [`Model::similarity_with`](crate::Model::similarity_with).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// How to handle a text with more tokens than the model's limit.
    pub truncation: Truncation,
    /// The prompts that are put before the query and the texts.
    pub prompts: Prompts,
    /// Maximum number of tokens of a text with its prompt, as in [`EmbedOptions::text_tokens`].
    pub text_tokens: Option<usize>,
}

/// Options of [`Model::embed_with`](crate::Model::embed_with).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbedOptions {
    /// How to handle a text with more tokens than the model's limit.
    pub truncation: Truncation,
    /// The prompt that is put before each text.
    pub prompts: Prompts,
    /// Whether embeddings have unit length. By default, the bundle decides.
    pub normalize: Option<bool>,
    /// Number of leading dimensions to keep. The vector is truncated, then normalized. Use it only
    /// with Matryoshka-trained models (<https://arxiv.org/abs/2205.13147>).
    pub dimensions: Option<usize>,
    /// Maximum number of tokens of a text with its prompt, special tokens excluded, if it is less than the
    /// model's limit. A text beyond it is handled as `truncation` says.
    pub text_tokens: Option<usize>,
    /// Whether all tokens of a text are counted. By default, those of a truncated text are counted
    /// until they exceed the model's limit, so that the time for a long text is bounded.
    pub count_tokens: bool,
}

/// Options of [`Model::rerank_with`](crate::Model::rerank_with) and
/// [`Model::predict_with`](crate::Model::predict_with).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairOptions {
    /// How to handle a pair with more tokens than the model's limit. Tokens of the longer text are
    /// removed first.
    pub truncation: Truncation,
    /// Whether to return the logits of the cross-encoder instead of its scores.
    pub raw_scores: bool,
    /// Maximum number of tokens of a pair or text, special tokens excluded, if it is less than the model's
    /// limit. One beyond it is handled as `truncation` says.
    pub text_tokens: Option<usize>,
}

/// What a cross-encoder scores: a pair of texts, or a single text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence<'a> {
    /// The first text, or the only one.
    pub first: &'a str,
    /// The second text of a pair.
    pub second: Option<&'a str>,
}

impl<'a> From<(&'a str, &'a str)> for Sequence<'a> {
    fn from((first, second): (&'a str, &'a str)) -> Self {
        Self { first, second: Some(second) }
    }
}

impl<'a> From<&'a str> for Sequence<'a> {
    fn from(text: &'a str) -> Self {
        Self { first: text, second: None }
    }
}

/// Options of [`Model::tokenize_with`](crate::Model::tokenize_with).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizeOptions {
    /// Whether to include the special tokens that the tokenizer adds around a text. The default is
    /// true.
    pub special_tokens: bool,
    /// The prompt that is put before each text.
    pub prompts: Prompts,
}

impl Default for TokenizeOptions {
    fn default() -> Self {
        Self { special_tokens: true, prompts: Prompts::ByRole }
    }
}
