//! The rerank operation: a query and texts in, the relevance of each text out.

use semblance::{PairOptions, Scorer, Scores};

use super::similarity::after;
use super::{Report, Request, in_fields};
use crate::error::ApiError;
use crate::request::Texts;
use crate::service::Service;

/// Score the relevance of each text to the query.
pub(crate) struct RerankRequest {
    /// The query; one text.
    pub(crate) query: Texts,
    /// The texts; at least one.
    pub(crate) texts: Texts,
    /// Truncation, and logits in place of scores.
    pub(crate) options: PairOptions,
    /// Keep the best only; all if absent.
    pub(crate) top_n: Option<usize>,
    /// Whether the reply contains the texts.
    pub(crate) return_texts: bool,
}

impl Request for RerankRequest {
    /// Scores in input order.
    type Outcome = Scores;

    const NAME: &'static str = "rerank";

    fn run(&self, service: &Service) -> Result<(Scores, Report), ApiError> {
        let texts = self.texts.as_slice();
        let scores = service.model().rerank_with(self.query.first(), texts, &self.options);
        let scores =
            scores.map_err(|error| in_fields(error, |i| after(&self.query, &self.texts, i)))?;
        let report = Report { cost: scores.cost.clone(), scored_by: Some(scores.scored_by) };
        Ok((scores, report))
    }
}

/// Returns the name of a scorer in replies and headers.
pub(crate) fn scorer_name(scorer: Scorer) -> &'static str {
    match scorer {
        Scorer::CrossEncoder => "cross-encoder",
        Scorer::BiEncoder => "bi-encoder",
    }
}
