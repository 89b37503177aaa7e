//! The operation `embed_all`: returns the embedding of each token of each text.

use semblance::outcome::TokenEmbeddings;
use semblance::{EmbedOptions, TextOptions};

use super::embed::{decoded, has_prompt};
use super::kept::{Kept, ListFaults, Listed};
use super::{Report, Request, encoding_bytes, in_fields};
use crate::body::{TextsOrIds, TokenIds};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// A request to embed the tokens of texts.
pub(crate) struct EmbedAllRequest {
    /// The texts, at least one, or their token ids.
    pub(crate) input: TextsOrIds,
    /// Truncation and prompt.
    pub(crate) options: TextOptions,
}

impl Request for EmbedAllRequest {
    type Outcome = Listed<TokenEmbeddings>;

    const NAME: &'static str = "embed_all";

    fn memory_bytes(&self, service: &Service) -> usize {
        let info = service.model().info();
        // The rows of the model, and those of the texts.
        let rows = |tokens: usize| tokens.saturating_mul(2 * info.dimensions * size_of::<f32>());
        match &self.input {
            TextsOrIds::Ids(ids) => rows(ids.tokens(info.max_tokens)),
            TextsOrIds::Texts(texts) => {
                let texts = texts.as_slice().iter();
                let tokens = texts.clone().map(|text| (text.len() + 2).min(info.max_tokens));
                let encodings = encoding_bytes(texts.map(String::as_str), info.max_tokens);
                rows(tokens.sum()).saturating_add(encodings)
            }
        }
    }

    fn run(&self, service: &Service) -> Result<(Listed<TokenEmbeddings>, Report), ApiError> {
        match &self.input {
            TextsOrIds::Texts(texts) => self.embed_texts(texts, service),
            TextsOrIds::Ids(ids) => self.embed_ids(ids, service),
        }
    }
}

impl EmbedAllRequest {
    fn embed_texts(
        &self,
        texts: &Texts,
        service: &Service,
    ) -> Result<(Listed<TokenEmbeddings>, Report), ApiError> {
        let model = service.model();
        let field_of = |index| texts.field_of(index);
        let kept = Kept::new(texts.into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &texts.as_slice()[item]).collect();
            let prompt = model.info().text_prompt(&self.options.prompts);
            model.text_faults(&texts, prompt, self.options.truncation)
        })?;
        let embedded = model.embed_tokens_with(&kept.texts(texts), &self.options);
        let embedded =
            embedded.map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, texts.cut());
        Ok((kept.listed(embedded, texts.as_slice().len()), report))
    }

    fn embed_ids(
        &self,
        ids: &TokenIds,
        service: &Service,
    ) -> Result<(Listed<TokenEmbeddings>, Report), ApiError> {
        let model = service.model();
        if has_prompt(model.info().text_prompt(&self.options.prompts), service) {
            return self.embed_texts(&decoded(ids, service)?, service);
        }
        let field_of = |index| ids.field_of(index);
        let options =
            EmbedOptions { truncation: self.options.truncation, ..EmbedOptions::default() };
        let kept = Kept::new(ListFaults::from(ids), field_of, |items| {
            model.id_faults(&ids.of(items), &options)
        })?;
        let embedded = model.embed_tokens_of_ids_with(&ids.of(&kept.items), &self.options);
        let embedded =
            embedded.map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, &[]);
        Ok((kept.listed(embedded, ids.texts.len()), report))
    }
}
