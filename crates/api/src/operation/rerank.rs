//! The operation `rerank`: returns the relevance of each text to a query.

use semblance::{PairOptions, Scorer, Scores};

use super::similarity::field_after_query;
use super::{Report, Request, encoding_bytes, in_fields, query_bytes};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// A request to score the relevance of texts to a query.
pub(crate) struct RerankRequest {
    /// The query, one text.
    pub(crate) query: Texts,
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// Truncation, and whether to return logits.
    pub(crate) options: PairOptions,
    /// Number of texts to return, best first; all if absent.
    pub(crate) top_n: Option<usize>,
    /// Whether the response contains the texts.
    pub(crate) return_texts: bool,
}

impl Request for RerankRequest {
    /// Scores in input order.
    type Outcome = Scores;

    const NAME: &'static str = "rerank";

    fn memory_bytes(&self, service: &Service) -> usize {
        // The cross-encoder reads the query with each text.
        let pairs = query_bytes(&self.query, &self.texts, service);
        let query = encoding_bytes([self.query.first()], service.model().info().max_tokens);
        pairs.saturating_add(query.saturating_mul(self.texts.as_slice().len()))
    }

    fn run(&self, service: &Service) -> Result<(Scores, Report), ApiError> {
        let texts = self.texts.as_slice();
        let scores = service.model().rerank_with(self.query.first(), texts, &self.options);
        let scores = scores.map_err(|error| {
            in_fields(error, |i| field_after_query(&self.query, &self.texts, i))
        })?;
        let report = Report { cost: scores.cost.clone(), scored_by: Some(scores.scored_by) };
        Ok((scores, report))
    }
}

/// Returns the name of a scorer in responses and headers.
pub(crate) fn scorer_name(scorer: Scorer) -> &'static str {
    match scorer {
        Scorer::CrossEncoder => "cross-encoder",
        Scorer::BiEncoder => "bi-encoder",
    }
}
