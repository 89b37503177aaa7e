//! The operation `embed`: returns the embedding of each text.

use semblance::{EmbedOptions, EmbedOutput};

use super::{Report, Request, encoding_bytes, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// A request to embed texts.
pub(crate) struct EmbedRequest {
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// Truncation, prompt, normalization and dimensions.
    pub(crate) options: EmbedOptions,
}

impl Request for EmbedRequest {
    type Outcome = EmbedOutput;

    const NAME: &'static str = "embed";

    fn memory_bytes(&self, service: &Service) -> usize {
        let texts = self.texts.as_slice().iter().map(String::as_str);
        encoding_bytes(texts, service.model().info().max_tokens)
    }

    fn run(&self, service: &Service) -> Result<(EmbedOutput, Report), ApiError> {
        let embedded = service.model().embed_with(self.texts.as_slice(), &self.options);
        let embedded =
            embedded.map_err(|error| in_fields(error, |index| self.texts.field_of(index)))?;
        let report = embedded.cost.clone().into();
        Ok((embedded, report))
    }
}
