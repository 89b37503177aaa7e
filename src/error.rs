//! Errors of loading a model and of calling it.

use crate::bundle::BundleError;
use crate::cancel::Canceled;
use crate::code::{Code, Fault};
use crate::kernels::InstructionSet;
use crate::runtime::InferError;
use crate::scheduler::{RunError, TooMuchWork};
use crate::tokenizer::TokenizerError;
use crate::vector::DegenerateVector;

/// Why a call failed. Indices count the texts of the call; in a call with a query, 0 is the query
/// and texts start at 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A text or pair exceeds the model's limit and must not be truncated.
    #[error("text {index} has {tokens} tokens; the limit is {limit_tokens}")]
    TooManyTokens {
        /// Index of the text or pair.
        index: usize,
        /// Its number of tokens, special tokens included.
        tokens: usize,
        /// The model's limit.
        limit_tokens: usize,
    },
    /// A text has no tokens besides special ones: the tokenizer removes all of its characters.
    #[error("text {index} is empty: it has no tokens")]
    EmptyText {
        /// Index of the text or pair.
        index: usize,
        /// Index of the empty text in its pair, 0 or 1; 0 for a text that is not in a pair.
        text: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("text {index} has the token id {id}; the vocabulary has {count} tokens")]
    UnknownToken {
        /// Index of the text.
        index: usize,
        /// The id.
        id: u32,
        /// Number of tokens of the vocabulary, including added tokens.
        count: usize,
    },
    /// The model has no prompt of this name.
    #[error("{}", unknown_prompt(.known))]
    UnknownPrompt {
        /// Names of the model's prompts.
        known: Vec<String>,
    },
    /// The embedding has fewer dimensions than requested.
    #[error("{requested} dimensions requested; the model has {available}")]
    TooManyDimensions {
        /// Dimensions requested.
        requested: usize,
        /// Dimensions of the model.
        available: usize,
    },
    /// No dimensions were requested.
    #[error("0 dimensions requested; the minimum is 1")]
    NoDimensions,
    /// The call needs an embedding model.
    #[error("no embedding model is configured; only a cross-encoder is")]
    NoEmbeddingModel,
    /// The call needs a cross-encoder.
    #[error("no cross-encoder is configured; scoring pairs requires one")]
    NoCrossEncoder,
    /// The texts have more tokens in total than the call returns.
    #[error("the texts have more than {limit_tokens} tokens in total, which is the limit")]
    TooManyTokensInTotal {
        /// The limit.
        limit_tokens: usize,
    },
    /// The call was canceled.
    #[error(transparent)]
    Canceled(#[from] Canceled),
    /// The call cannot end before its deadline.
    #[error(transparent)]
    TooMuchWork(#[from] TooMuchWork),
    /// The tokenizer failed on a text.
    #[error("text {index} cannot be tokenized")]
    Tokenize {
        /// Index of the text or pair.
        index: usize,
        /// The error of the tokenizer.
        source: TokenizerError,
    },
    /// The model failed.
    #[error(transparent)]
    Inference(#[from] InferError),
    /// The model returned a vector that cannot be normalized.
    #[error(transparent)]
    Degenerate(#[from] DegenerateVector),
    /// A cross-encoder returned a logit that is not finite.
    #[error("a logit of pair {index} is not finite")]
    NotFinite {
        /// Index of the pair.
        index: usize,
    },
    /// A cross-encoder returned a wrong number of logits.
    #[error("the model returned {labels} logits for a pair; its bundle declares {expected}")]
    Labels {
        /// Logits that the model returned.
        labels: usize,
        /// Logits that the manifest declares.
        expected: usize,
    },
}

impl ModelError {
    /// The index of the text or pair, for an error that an invalid text causes.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        match *self {
            Self::TooManyTokens { index, .. }
            | Self::EmptyText { index, .. }
            | Self::UnknownToken { index, .. } => Some(index),
            _ => None,
        }
    }

    /// Returns the error with its index mapped by `of`.
    pub(crate) fn at_index(self, of: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::TooManyTokens { index, tokens, limit_tokens } => {
                Self::TooManyTokens { index: of(index), tokens, limit_tokens }
            }
            Self::EmptyText { index, text } => Self::EmptyText { index: of(index), text },
            Self::UnknownToken { index, id, count } => {
                Self::UnknownToken { index: of(index), id, count }
            }
            Self::Tokenize { index, source } => Self::Tokenize { index: of(index), source },
            Self::NotFinite { index } => Self::NotFinite { index: of(index) },
            Self::Degenerate(vector) => {
                Self::Degenerate(DegenerateVector { row: of(vector.row), ..vector })
            }
            other => other,
        }
    }
}

impl From<RunError> for ModelError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Infer(error) => error.into(),
            RunError::Canceled(error) => error.into(),
            RunError::TooMuchWork(error) => error.into(),
        }
    }
}

fn unknown_prompt(known: &[String]) -> String {
    match known {
        [] => "this model has no prompts".to_owned(),
        known => {
            let names: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            format!("unknown prompt; the model's prompts are {}", names.join(", "))
        }
    }
}

crate::codes!(ModelError {
    Self::TooManyTokens { .. } => Code::TOO_MANY_TOKENS,
    Self::EmptyText { .. } => Code::EMPTY_TEXT,
    Self::UnknownPrompt { .. } => Code::UNKNOWN_VALUE,
    Self::TooManyDimensions { .. } | Self::NoDimensions | Self::UnknownToken { .. } => Code::OUT_OF_RANGE,
    Self::NoCrossEncoder => Code::new(
        "request.no_cross_encoder",
        Fault::NotFound,
        "The operation scores pairs, but no cross-encoder is configured. Configure a cross-encoder \
         as the second bundle.",
    ),
    Self::NoEmbeddingModel => Code::new(
        "request.no_embedding_model",
        Fault::NotFound,
        "The operation embeds texts, but only a cross-encoder is configured. Configure the bundle of an \
         embedding model.",
    ),
    Self::TooManyTokensInTotal { .. } => Code::new(
        "request.too_many_tokens_in_total",
        Fault::TooLarge,
        "The texts of a request to tokenize have too many tokens in total. Send fewer texts.",
    ),
    Self::Canceled(_) => Code::CANCELED,
    Self::TooMuchWork(_) => Code::new(
        "request.too_much_work",
        Fault::TooLarge,
        "The request has more tokens than the model can process in the time that is left: that of the \
         function, of the API Gateway or of --timeout-seconds. It is refused as soon as the measured \
         speed shows this. Send fewer or shorter texts per request.",
    ),
    Self::Tokenize { .. } => Code::new(
        "model.tokenisation_failed",
        Fault::Internal,
        "The tokenizer failed on a text.",
    ),
    Self::Inference(_) => Code::INFERENCE_FAILED,
    Self::Degenerate(_) => Code::new(
        "model.degenerate_embedding",
        Fault::Internal,
        "The model returned a vector whose norm is zero or not finite. Its cosine similarity is \
         undefined.",
    ),
    Self::NotFinite { .. } | Self::Labels { .. } => Code::new(
        "model.invalid_logits",
        Fault::Internal,
        "The cross-encoder returned a logit that is not finite, or the wrong number of logits.",
    ),
});

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Neither an embedding model nor a cross-encoder is given.
    #[error("no bundle is given: set that of an embedding model or of a cross-encoder")]
    NoBundle,
    /// The bundle is incomplete or cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The tokenizer of the bundle is not usable.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The ONNX Runtime library or the graph of the bundle is not usable.
    #[error(transparent)]
    Runtime(#[from] InferError),
    /// The processor does not have the requested instruction set.
    #[error("this processor does not have the instruction set {set}")]
    InstructionSet {
        /// The instruction set.
        set: InstructionSet,
    },
    /// The model loads, but the first inference fails.
    #[error("the first inference of the model failed")]
    WarmUp(#[source] ModelError),
}

crate::codes!(LoadError {
    Self::NoBundle => Code::new(
        "bundle.missing",
        Fault::Start,
        "Neither the bundle of an embedding model nor that of a cross-encoder is configured.",
    ),
    Self::Tokenizer(_) => Code::new(
        "bundle.invalid_tokenizer",
        Fault::Start,
        "The tokenizer files of the bundle are invalid. Rebuild the bundle.",
    ),
    Self::Runtime(InferError::LibraryNotLoaded { .. } | InferError::AnotherLibrary { .. }) => {
        Code::new(
            "library.not_loaded",
            Fault::Start,
            "The ONNX Runtime library is missing, is not a shared library, or differs from the \
             one that the process has loaded.",
        )
    },
    Self::Runtime(InferError::LibraryTooOld { .. }) => Code::new(
        "library.too_old",
        Fault::Start,
        "The ONNX Runtime library is older than this version requires.",
    ),
    Self::Runtime(InferError::Environment(_)) => Code::new(
        "library.not_started",
        Fault::Start,
        "ONNX Runtime failed to initialize.",
    ),
    Self::Runtime(InferError::Thread(_)) => Code::new(
        "model.threads_not_started",
        Fault::Start,
        "The operating system cannot start the threads of the forward pass.",
    ),
    Self::Runtime(InferError::Session { .. } | InferError::Contract { .. }) => Code::new(
        "bundle.invalid_graph",
        Fault::Start,
        "The graph of the bundle cannot be loaded, or its inputs or outputs are wrong. Rebuild the \
         bundle.",
    ),
    Self::Runtime(
        InferError::UnknownToken(_)
        | InferError::Dense(_)
        | InferError::Run { .. }
        | InferError::Shape { .. }
    ) => Code::INFERENCE_FAILED,
    Self::InstructionSet { .. } => Code::new(
        "config.unsupported_instruction_set",
        Fault::Start,
        "The processor does not have the instruction set that was requested.",
    ),
    Self::WarmUp(_) => Code::new(
        "model.warm_up_failed",
        Fault::Start,
        "The model loads, but the first inference fails.",
    ),
} else {
    Self::Bundle(error) => error.code(),
});
