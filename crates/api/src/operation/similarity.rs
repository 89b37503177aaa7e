//! The operation `similarity`: returns the cosine similarity of each text to a query.

use semblance::{Scores, TextOptions};

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
    /// Truncation and prompt.
    pub(crate) options: TextOptions,
}

impl Request for SimilarityRequest {
    /// Scores in input order.
    type Outcome = Scores;

    const NAME: &'static str = "similarity";

    fn memory_bytes(&self, service: &Service) -> usize {
        query_bytes(&self.query, &self.texts, service)
    }

    fn run(&self, service: &Service) -> Result<(Scores, Report), ApiError> {
        let texts = self.texts.as_slice();
        let scores = service.model().similarity_with(self.query.first(), texts, &self.options);
        let scores = scores.map_err(|error| {
            in_fields(error, |i| field_after_query(&self.query, &self.texts, i))
        })?;
        let report = scores.cost.clone().into();
        Ok((scores, report))
    }
}

/// Returns the field of text `index`. Index 0 is the query; texts start at 1.
pub(super) fn field_after_query(query: &Texts, texts: &Texts, index: usize) -> Field {
    match index.checked_sub(1) {
        None => query.field_of(0),
        Some(text) => texts.field_of(text),
    }
}
