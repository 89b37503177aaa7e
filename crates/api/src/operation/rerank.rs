//! The operation `rerank`: returns the relevance of each text to a query.

use semblance::outcome::{Scorer, Scores};
use semblance::{ModelError, PairOptions, TextOptions, Truncation};

use super::kept::{Kept, Listed};
use super::similarity::{self, field_after_query};
use super::{Report, Request, encoding_bytes, in_fields, query_bytes};
use crate::body::PromptName;
use crate::error::ApiError;
use crate::request::{Field, RequestError, Texts};
use crate::service::Service;

/// A request to score the relevance of texts to a query.
pub(crate) struct RerankRequest {
    /// The query, one text.
    pub(crate) query: Texts,
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// Truncation, and whether to return logits.
    pub(crate) options: PairOptions,
    /// The prompt of the query and the texts, for the embedding model.
    pub(crate) prompt_name: PromptName,
    /// Maximum number of tokens of each text, special tokens excluded. The rest of a text is ignored.
    pub(crate) max_text_tokens: Option<usize>,
    /// Number of texts to return, best first; all if absent.
    pub(crate) top_n: Option<usize>,
    /// Whether the response contains the texts.
    pub(crate) return_texts: bool,
}

impl Request for RerankRequest {
    /// Scores in input order.
    type Outcome = Listed<Scores>;

    const NAME: &'static str = "rerank";

    fn memory_bytes(&self, service: &Service) -> usize {
        // The cross-encoder reads the query with each text.
        let pairs = query_bytes(&self.query, &self.texts, service);
        let query = encoding_bytes([self.query.first()], service.model().info().max_tokens);
        pairs.saturating_add(query.saturating_mul(self.texts.as_slice().len()))
    }

    fn run(&self, service: &Service) -> Result<(Listed<Scores>, Report), ApiError> {
        let (texts, shortened) = self.shortened(service)?;
        let mut scored = match service.model().reranks_with() {
            Scorer::CrossEncoder => self.cross_encoder_scores(service, &texts)?,
            Scorer::BiEncoder => {
                let prompts = self.prompt_name.clone().prompts();
                let options = TextOptions { truncation: self.options.truncation, prompts };
                similarity::scores(service, &self.query, &texts, &options)?
            }
        };
        let truncated = &mut scored.outcome.cost.truncated;
        truncated.extend(shortened.iter().map(|index| index + 1));
        truncated.sort_unstable();
        truncated.dedup();
        let (cost, scored_by) = (scored.outcome.cost.clone(), Some(scored.outcome.scored_by));
        Ok((scored, Report { cost, scored_by }))
    }
}

impl RerankRequest {
    fn cross_encoder_scores(
        &self,
        service: &Service,
        texts: &Texts,
    ) -> Result<Listed<Scores>, ApiError> {
        if let PromptName::Name(_) = self.prompt_name {
            let field = Field::new("prompt_name");
            let expected = "absent or null: the cross-encoder has no prompts";
            return Err(RequestError::UnsupportedOption { field, expected }.into());
        }
        let (model, query) = (service.model(), self.query.first());
        let is_empty = |fault: &ModelError| matches!(fault, ModelError::EmptyText { .. });
        // A fault of the query is not a fault of each text.
        let faults = model.pair_faults(&[(query, query)], Truncation::Right);
        let faults = faults.map_err(|error| in_fields(error, |_| self.query.field_of(0)))?;
        if let Some(fault) = faults.into_iter().find(is_empty) {
            return Err(in_fields(fault, |_| self.query.field_of(0)));
        }
        let kept = Kept::new(
            texts.into(),
            |index| texts.field_of(index),
            |items| {
                let pairs = items.iter().map(|&item| (query, texts.as_slice()[item].as_str()));
                model.pair_faults(&pairs.collect::<Vec<_>>(), self.options.truncation)
            },
        )?;
        let scores = model.rerank_with(query, &kept.texts(texts), &self.options);
        let scores = scores.map_err(|error| {
            in_fields(error, |index| field_after_query(&self.query, texts, &kept, index))
        })?;
        Ok(similarity::listed(scores, kept, &self.query, texts))
    }

    /// Returns the texts, each with its first tokens only, and the indices of the shortened ones.
    fn shortened(&self, service: &Service) -> Result<(Texts, Vec<usize>), ApiError> {
        let (mut texts, mut shortened) = (self.texts.clone(), Vec::new());
        let Some(limit) = self.max_text_tokens else { return Ok((texts, shortened)) };
        if limit >= service.about().max_rerank_tokens() {
            return Ok((texts, shortened));
        }
        for (index, text) in texts.as_mut_slice().iter_mut().enumerate() {
            // A text on which the tokenizer fails has its own error later.
            if let Ok(Some(start)) = service.model().first_tokens(text, limit) {
                *text = start.to_owned();
                shortened.push(index);
            }
        }
        Ok((texts, shortened))
    }
}

/// Returns the name of a scorer in responses and headers.
pub(crate) fn scorer_name(scorer: Scorer) -> &'static str {
    match scorer {
        Scorer::CrossEncoder => "cross-encoder",
        Scorer::BiEncoder => "bi-encoder",
    }
}
