//! The operation `similarity`: returns the similarity of each text to a query.

use semblance::outcome::Scores;
use semblance::{Prompts, TextOptions};

use super::kept::{Kept, Listed};
use super::{Report, Request, in_fields, query_bytes};
use crate::error::ApiError;
use crate::request::{Field, Texts};
use crate::service::Service;

/// A request to score texts against a query.
pub(crate) struct SimilarityRequest {
    /// The query, one text.
    pub(crate) query: Texts,
    /// The texts.
    pub(crate) texts: Texts,
    /// Number of texts to return, best first; all if absent.
    pub(crate) top_k: Option<usize>,
    /// Truncation and prompts.
    pub(crate) options: TextOptions,
}

impl Request for SimilarityRequest {
    /// Scores in input order.
    type Outcome = Listed<Scores>;

    const NAME: &'static str = "similarity";

    fn memory_bytes(&self, service: &Service) -> usize {
        query_bytes(&self.query, &self.texts, service)
    }

    fn run(&self, service: &Service) -> Result<(Listed<Scores>, Report), ApiError> {
        let scored = scores(service, &self.query, &self.texts, &self.options)?;
        let report = scored.outcome.cost.clone().into();
        Ok((scored, report))
    }
}

/// Scores texts with the embedding model. The scores are in input order.
pub(super) fn scores(
    service: &Service,
    query: &Texts,
    texts: &Texts,
    options: &TextOptions,
) -> Result<Listed<Scores>, ApiError> {
    let model = service.model();
    let prompt = match &options.prompts {
        Prompts::ByRole => model.info().document_prompt(),
        Prompts::Named(name) => Some(name.as_str()),
        Prompts::Off => None,
    };
    let kept = Kept::new(
        texts.into(),
        |index| texts.field_of(index),
        |items| {
            let texts: Vec<_> = items.iter().map(|&item| &texts.as_slice()[item]).collect();
            model.text_faults_within(&texts, prompt, options.truncation, options.text_tokens)
        },
    )?;
    let scores = model.similarity_with(query.first(), &kept.texts(texts), options);
    let scores =
        scores.map_err(|error| in_fields(error, |i| field_after_query(query, texts, &kept, i)))?;
    Ok(listed(scores, kept, query, texts))
}

/// Returns the scores of the valid texts as scores of all texts.
pub(super) fn listed(
    mut scores: Scores,
    kept: Kept,
    query: &Texts,
    texts: &Texts,
) -> Listed<Scores> {
    let count = texts.as_slice().len();
    scores.scores = kept.scores(&scores.scores, count);
    kept.restore(&mut scores.cost, 1, texts.cut());
    if !query.cut().is_empty() && scores.cost.truncated.first() != Some(&0) {
        scores.cost.truncated.insert(0, 0);
    }
    kept.listed(scores, count)
}

/// Returns the field of text `index` of a call. Index 0 is the query; texts start at 1.
pub(super) fn field_after_query(query: &Texts, texts: &Texts, kept: &Kept, index: usize) -> Field {
    match index.checked_sub(1) {
        None => query.field_of(0),
        Some(item) => texts.field_of(kept.items[item]),
    }
}
