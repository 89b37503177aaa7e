//! The operation `embed_all`: returns the embedding of each token of each text.

use semblance::TextOptions;
use semblance::outcome::TokenEmbeddings;

use super::kept::{Kept, Listed};
use super::{Report, Request, encoding_bytes, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// A request to embed the tokens of texts.
pub(crate) struct EmbedAllRequest {
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// Truncation and prompt.
    pub(crate) options: TextOptions,
}

impl Request for EmbedAllRequest {
    type Outcome = Listed<TokenEmbeddings>;

    const NAME: &'static str = "embed_all";

    fn memory_bytes(&self, service: &Service) -> usize {
        let info = service.model().info();
        let texts = self.texts.as_slice().iter();
        let tokens = texts.clone().map(|text| (text.len() + 2).min(info.max_tokens));
        // The rows of the model, and those of the texts.
        let rows = tokens.sum::<usize>().saturating_mul(2 * info.dimensions * size_of::<f32>());
        rows.saturating_add(encoding_bytes(texts.map(String::as_str), info.max_tokens))
    }

    fn run(&self, service: &Service) -> Result<(Listed<TokenEmbeddings>, Report), ApiError> {
        let model = service.model();
        let field_of = |index| self.texts.field_of(index);
        let kept = Kept::new((&self.texts).into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &self.texts.as_slice()[item]).collect();
            let prompt = model.info().text_prompt(&self.options.prompts);
            model.text_faults(&texts, prompt, self.options.truncation)
        })?;
        let embedded = model.embed_tokens_with(&kept.texts(&self.texts), &self.options);
        let embedded =
            embedded.map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, self.texts.cut());
        Ok((kept.listed(embedded, self.texts.as_slice().len()), report))
    }
}
