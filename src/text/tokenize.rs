//! Text to token ids. The only file that names the `tokenizers` crate.

use std::path::Path;

use tokenizers::{PostProcessor as _, TruncationDirection};

/// A tokenizer with the limit of its model.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_tokens: usize,
    special_tokens: usize,
}

/// The token ids of one text, within the model's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Ids, `[tokens]`, special tokens included, cut to the limit.
    pub input_ids: Vec<i32>,
    /// Tokens the whole text has, special tokens included; more than `input_ids` if it was cut.
    pub total_tokens: usize,
}

impl Encoding {
    /// Whether tokens were cut off on the right.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.total_tokens > self.input_ids.len()
    }
}

/// Why a tokenizer could not be loaded or could not encode.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file is not a `tokenizer.json` that the tokenizers library understands.
    #[error("the tokenizer {path} cannot be read")]
    Load {
        /// The file.
        path: String,
        /// What the library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The limit leaves no room for text beside the special tokens.
    #[error("max_tokens is {max_tokens}, but the tokenizer adds {special_tokens} special tokens")]
    NoRoom {
        /// The limit.
        max_tokens: usize,
        /// Tokens added to each text.
        special_tokens: usize,
    },
    /// The library failed on a text.
    #[error("a text cannot be tokenised")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Tokenizer {
    /// Reads a `tokenizer.json` for a model of at most `max_tokens` tokens, special tokens included.
    ///
    /// Truncation and padding that the file may bake in are switched off: the limit is the
    /// model's, and batches are padded to their own longest text.
    ///
    /// # Errors
    /// - [`TokenizerError::Load`] if the file is missing or not understood.
    /// - [`TokenizerError::NoRoom`] if `max_tokens` does not exceed the special tokens.
    pub fn from_file(path: &Path, max_tokens: usize) -> Result<Self, TokenizerError> {
        let load = |source| TokenizerError::Load { path: path.display().to_string(), source };
        let mut inner = tokenizers::Tokenizer::from_file(path).map_err(load)?;
        inner.with_truncation(None).map_err(load)?.with_padding(None);
        let special_tokens = inner.get_post_processor().map_or(0, |post| post.added_tokens(false));
        if max_tokens <= special_tokens {
            return Err(TokenizerError::NoRoom { max_tokens, special_tokens });
        }
        Ok(Self { inner, max_tokens, special_tokens })
    }

    /// Returns the ids of `text`, cut on the right to the model's limit as sentence-transformers
    /// cuts: `[CLS]`, the first `max_tokens - 2` tokens of the text, `[SEP]`.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn encode(&self, text: &str) -> Result<Encoding, TokenizerError> {
        let mut encoding = self.inner.encode_fast(text, false).map_err(TokenizerError::Encode)?;
        let total_tokens = encoding.len() + self.special_tokens;
        if total_tokens > self.max_tokens {
            let room = self.max_tokens - self.special_tokens;
            encoding.truncate(room, 0, TruncationDirection::Right);
        }
        let encoding =
            self.inner.post_process(encoding, None, true).map_err(TokenizerError::Encode)?;
        let input_ids = encoding.get_ids().iter().map(|&id| id as i32).collect();
        Ok(Encoding { input_ids, total_tokens })
    }

    /// The most tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }
}
