//! The embed operation: texts in, their embeddings out.

use semblance::{EmbedOptions, Embedded};

use super::{Report, Request, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// Embed each text.
pub(crate) struct EmbedRequest {
    /// The texts; at least one.
    pub(crate) texts: Texts,
    /// Truncation, prompt, unit length and dimensions.
    pub(crate) options: EmbedOptions,
}

impl Request for EmbedRequest {
    type Outcome = Embedded;

    const NAME: &'static str = "embed";

    fn run(&self, service: &Service) -> Result<(Embedded, Report), ApiError> {
        let embedded = service.model().embed_with(self.texts.as_slice(), &self.options);
        let embedded =
            embedded.map_err(|error| in_fields(error, |index| self.texts.field_of(index)))?;
        let report = embedded.cost.clone().into();
        Ok((embedded, report))
    }
}
