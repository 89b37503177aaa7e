//! Options that limit the tokens of a text.

use crate::request::{Field, RequestError};

/// A limit on the tokens of a text or pair, special tokens included, in an option of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenLimit {
    /// The option.
    pub(crate) field: Field,
    /// The limit, at least 1.
    pub(crate) tokens: usize,
    /// Whether a limit beyond that of the model is that of the model. Otherwise it is an error.
    pub(crate) is_capped: bool,
}

impl TokenLimit {
    /// Returns the limit without the special tokens of the model, which reads at most `max_tokens` tokens.
    ///
    /// # Errors
    /// - [`RequestError::OutOfRange`] if the limit has no room for a token of the text, or exceeds that of
    ///   the model.
    pub(crate) fn text_tokens(
        &self,
        special: usize,
        max_tokens: usize,
    ) -> Result<usize, RequestError> {
        let Self { field, tokens, is_capped } = *self;
        let tokens = if is_capped { tokens.min(max_tokens) } else { tokens };
        if tokens > special && tokens <= max_tokens {
            return Ok(tokens - special);
        }
        let (minimum, maximum) = (special as u64 + 1, (!is_capped).then_some(max_tokens as u64));
        Err(RequestError::OutOfRange { field, minimum, maximum, found: self.tokens.to_string() })
    }
}
