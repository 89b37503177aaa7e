//! The operation `decode`: returns the text of token ids.

use super::{Report, Request, in_fields};
use crate::body::TokenIds;
use crate::error::ApiError;
use crate::service::Service;

/// Memory of a token of the response: its text, in the list of pieces and in the response.
const DECODED_TOKEN_BYTES: usize = 64;

/// A request to decode token ids.
pub(crate) struct DecodeRequest {
    /// The token ids of each text.
    pub(crate) ids: TokenIds,
    /// Whether special tokens are omitted.
    pub(crate) skip_special_tokens: bool,
}

impl Request for DecodeRequest {
    /// The texts, in input order.
    type Outcome = Vec<String>;

    const NAME: &'static str = "decode";

    fn memory_bytes(&self, _: &Service) -> usize {
        let tokens: usize = self.ids.texts.iter().map(Vec::len).sum();
        tokens.saturating_mul(DECODED_TOKEN_BYTES)
    }

    fn run(&self, service: &Service) -> Result<(Vec<String>, Report), ApiError> {
        let texts = service.model().decode(&self.ids.texts, self.skip_special_tokens);
        let texts = texts.map_err(|error| in_fields(error, |index| self.ids.field_of(index)))?;
        Ok((texts, Report::default()))
    }
}
