//! Why a tokenizer could not be loaded, or failed on a text.

use std::io;

use super::{PiecesError, VocabularyError};

/// Why a tokenizer could not be loaded, or failed on a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file is missing or the file system failed.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The rules do not have the format of a bundle's `tokenizer.json`.
    #[error("{path} is invalid: field {field}")]
    Rules {
        /// The file.
        path: String,
        /// Path of the field; `.` is the document.
        field: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The vocabulary does not have the format of a bundle's `vocabulary.txt`.
    #[error("{path} is invalid")]
    Vocabulary {
        /// The file.
        path: String,
        /// The line and the reason.
        source: VocabularyError,
    },
    /// The vocabulary of a Unigram or BPE tokenizer does not have the format of `vocabulary.bin`.
    #[error("{path} is invalid")]
    Pieces {
        /// The file.
        path: String,
        /// The reason.
        source: PiecesError,
    },
    /// The vocabulary does not belong to the rules: another number of entries.
    #[error("{path} has {found_words} entries; tokenizer.json declares {expected_words}")]
    WordCount {
        /// The vocabulary file.
        path: String,
        /// Number of lines of the file.
        found_words: usize,
        /// `model.words` in the rules.
        expected_words: usize,
    },
    /// The vocabulary does not belong to the rules: another number of merges.
    #[error("{path} has {found_merges} merges; tokenizer.json declares {expected_merges}")]
    MergeCount {
        /// The vocabulary file.
        path: String,
        /// Number of merges of the file.
        found_merges: usize,
        /// `model.merges` in the rules; 0 for Unigram.
        expected_merges: usize,
    },
    /// The scores of the pieces are missing, or there are scores although the model has none.
    #[error("{path} has {}; the model in tokenizer.json has {}", scores(!.expected), scores(*.expected))]
    Scores {
        /// The vocabulary file.
        path: String,
        /// Whether the model has scores.
        expected: bool,
    },
    /// The id of the unknown token is not in the vocabulary.
    #[error("{path} does not contain the unknown token with the id {id}")]
    NoUnknownId {
        /// The vocabulary file.
        path: String,
        /// `model.unk_id` in the rules.
        id: u32,
    },
    /// The token for unknown words is not in the vocabulary.
    #[error("{path} does not contain the unknown token {token:?}")]
    NoUnknownToken {
        /// The vocabulary file.
        path: String,
        /// `model.unk_token` in the rules.
        token: String,
    },
    /// The id of a token in the rules differs from its id in the vocabulary.
    #[error("{path} declares the id {id} for the token {token:?}; {}", describe(*.found_id))]
    TokenId {
        /// The rules file.
        path: String,
        /// The token.
        token: String,
        /// Its id in the rules.
        id: u32,
        /// Its id in the vocabulary, including added tokens.
        found_id: Option<u32>,
    },
    /// A token has no row in the embedding table.
    #[error("{path} has the token id {id}; the embedding table has {vocabulary_size} rows")]
    IdTooLarge {
        /// The rules file.
        path: String,
        /// The highest id.
        id: usize,
        /// Number of rows of the embedding table.
        vocabulary_size: usize,
    },
    /// The tokenizers library rejects the rules.
    #[error("the tokenizers library rejects {path}")]
    Unusable {
        /// The rules file.
        path: String,
        /// The error of the library.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The limit does not exceed the number of special tokens.
    #[error("max_tokens is {max_tokens}; the tokenizer adds {special_tokens} special tokens")]
    NoRoom {
        /// The limit.
        max_tokens: usize,
        /// Number of special tokens that are added to each text.
        special_tokens: usize,
    },
    /// The library failed on a text.
    #[error("the text cannot be tokenized")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Describes the id of a token in the vocabulary.
fn describe(id: Option<u32>) -> String {
    id.map_or_else(
        || "the vocabulary does not contain the token".to_owned(),
        |id| format!("its id in the vocabulary is {id}"),
    )
}

fn scores(has_scores: bool) -> &'static str {
    if has_scores { "scores" } else { "no scores" }
}
