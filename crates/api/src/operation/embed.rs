//! The operation `embed`: returns the embedding of each text.

use semblance::outcome::EmbedOutput;
use semblance::{EmbedOptions, ModelError, Prompts};

use super::kept::{Kept, Listed};
use super::{Report, Request, encoding_bytes, in_fields};
use crate::error::ApiError;
use crate::request::{Field, RequestError, Texts};
use crate::service::Service;

/// A request to embed texts.
pub(crate) struct EmbedRequest {
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// The use of the embeddings, which selects a prompt if the request has no `prompt_name`.
    pub(crate) purpose: Option<Purpose>,
    /// Truncation, prompt, normalization and dimensions.
    pub(crate) options: EmbedOptions,
    /// The field with the dimensions, for errors.
    pub(crate) dimensions_field: &'static str,
}

/// The use of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A query of a search.
    Query,
    /// A document of a search.
    Document,
    /// A task with its own prompt, if the model has one of this name.
    Task(&'static str),
}

impl EmbedRequest {
    /// Returns a request without a purpose, with the dimensions in the field `dimensions`.
    pub(crate) fn new(texts: Texts, options: EmbedOptions) -> Self {
        Self { texts, purpose: None, options, dimensions_field: "dimensions" }
    }

    /// Returns the options, with the prompt of the purpose.
    fn options(&self, service: &Service) -> EmbedOptions {
        let info = service.model().info();
        let prompts = match (&self.options.prompts, self.purpose) {
            (Prompts::ByRole, Some(Purpose::Query)) => Prompts::named(info.query_prompt()),
            (Prompts::ByRole, Some(Purpose::Document)) => Prompts::named(info.document_prompt()),
            (Prompts::ByRole, Some(Purpose::Task(name))) if info.prompts.contains_key(name) => {
                Prompts::Named(name.to_owned())
            }
            (given, _) => given.clone(),
        };
        EmbedOptions { prompts, ..self.options.clone() }
    }
}

impl Request for EmbedRequest {
    type Outcome = Listed<EmbedOutput>;

    const NAME: &'static str = "embed";

    fn memory_bytes(&self, service: &Service) -> usize {
        let texts = self.texts.as_slice().iter().map(String::as_str);
        encoding_bytes(texts, service.model().info().max_tokens)
    }

    fn run(&self, service: &Service) -> Result<(Listed<EmbedOutput>, Report), ApiError> {
        let (model, options) = (service.model(), self.options(service));
        let field_of = |index| self.texts.field_of(index);
        let kept = Kept::new((&self.texts).into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &self.texts.as_slice()[item]).collect();
            let prompt = model.info().text_prompt(&options.prompts);
            model.text_faults(&texts, prompt, options.truncation)
        })?;
        let embedded = model.embed_with(&kept.texts(&self.texts), &options);
        let embedded = embedded.map_err(|error| match error {
            ModelError::TooManyDimensions { requested, available } => RequestError::OutOfRange {
                field: Field::new(self.dimensions_field),
                minimum: 1,
                maximum: Some(available as u64),
                found: requested.to_string(),
            }
            .into(),
            error => in_fields(error, |item| field_of(kept.items[item])),
        })?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, self.texts.cut());
        Ok((kept.listed(embedded, self.texts.as_slice().len()), report))
    }
}
