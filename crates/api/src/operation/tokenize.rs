//! The operation `tokenize`: returns the tokens of each text.

use semblance::{TokenizeOptions, TokenizeOutput};

use super::{Report, Request, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

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

    fn run(&self, service: &Service) -> Result<(TokenizeOutput, Report), ApiError> {
        let tokenized = service.model().tokenize_with(self.texts.as_slice(), &self.options);
        let tokenized =
            tokenized.map_err(|error| in_fields(error, |index| self.texts.field_of(index)))?;
        let report = tokenized.cost.clone().into();
        Ok((tokenized, report))
    }
}
