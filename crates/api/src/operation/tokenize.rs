//! The operation `tokenize`: returns the tokens of each text.

use semblance::Truncation;
use semblance::options::TokenizeOptions;
use semblance::outcome::TokenizeOutput;

use super::kept::{Kept, Listed};
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
    type Outcome = Listed<TokenizeOutput>;

    const NAME: &'static str = "tokenize";

    fn memory_bytes(&self, service: &Service) -> usize {
        let bytes: usize = self.texts.as_slice().iter().map(|text| text.len() + 2).sum();
        bytes.min(limit_tokens(service)).saturating_mul(RETURNED_TOKEN_BYTES)
    }

    fn run(&self, service: &Service) -> Result<(Listed<TokenizeOutput>, Report), ApiError> {
        let model = service.model();
        let prompt = model.info().text_prompt(&self.options.prompts);
        let field_of = |index| self.texts.field_of(index);
        let kept = Kept::new((&self.texts).into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &self.texts.as_slice()[item]).collect();
            model.text_faults(&texts, prompt, Truncation::Right)
        })?;
        let tokenized =
            model.tokenize_within(&kept.texts(&self.texts), &self.options, limit_tokens(service));
        let tokenized =
            tokenized.map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let report = tokenized.cost.clone().into();
        Ok((kept.listed(tokenized, self.texts.as_slice().len()), report))
    }
}
