//! The operation `embed`: returns the embedding of each text.

use semblance::EmbedOptions;
use semblance::outcome::EmbedOutput;

use super::kept::{Kept, Listed};
use super::{Report, Request, encoding_bytes, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// A request to embed texts.
pub(crate) struct EmbedRequest {
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// The use of the embeddings, which selects a prompt if the options name none.
    pub(crate) purpose: Option<Purpose>,
    /// Truncation, prompt, normalization and dimensions.
    pub(crate) options: EmbedOptions,
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
    /// Returns the options, with the prompt of the purpose.
    fn options(&self, service: &Service) -> EmbedOptions {
        let info = service.model().info();
        let prompt = match self.purpose {
            None => None,
            Some(Purpose::Query) => info.query_prompt(),
            Some(Purpose::Document) => info.document_prompt(),
            Some(Purpose::Task(name)) => info.prompts.contains_key(name).then_some(name),
        };
        let named = self.options.prompt_name.clone();
        EmbedOptions {
            prompt_name: named.or_else(|| prompt.map(str::to_owned)),
            ..self.options.clone()
        }
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
            model.text_faults(&texts, options.prompt_name.as_deref(), options.truncation)
        })?;
        let embedded = model.embed_with(&kept.texts(&self.texts), &options);
        let embedded =
            embedded.map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, self.texts.cut());
        Ok((kept.listed(embedded, self.texts.as_slice().len()), report))
    }
}
