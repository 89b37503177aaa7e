//! The operation `tokenize`: returns the tokens of each text.

use semblance::{TokenizeOptions, TokenizeOutput};

use super::{Report, Request, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// Memory of a token of the response: the token with its text, and its JSON.
const RETURNED_TOKEN_BYTES: usize = 192;

/// Maximum number of tokens of a response: as many as the model reads of the longest list of texts.
fn limit_tokens(service: &Service) -> usize {
    service.limits().texts.saturating_mul(service.model().info().max_tokens)
}

/// A request to tokenize texts.
pub(crate) struct TokenizeRequest {
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// Special tokens and prompt.
    pub(crate) options: TokenizeOptions,
}

impl Request for TokenizeRequest {
    type Outcome = TokenizeOutput;

    const NAME: &'static str = "tokenize";

    fn memory_bytes(&self, service: &Service) -> usize {
        let bytes: usize = self.texts.as_slice().iter().map(|text| text.len() + 2).sum();
        bytes.min(limit_tokens(service)).saturating_mul(RETURNED_TOKEN_BYTES)
    }

    fn run(&self, service: &Service) -> Result<(TokenizeOutput, Report), ApiError> {
        let texts = self.texts.as_slice();
        let tokenized =
            service.model().tokenize_within(texts, &self.options, limit_tokens(service));
        let tokenized =
            tokenized.map_err(|error| in_fields(error, |index| self.texts.field_of(index)))?;
        let report = tokenized.cost.clone().into();
        Ok((tokenized, report))
    }
}
