//! The operation `predict`: returns the cross-encoder's score of each label for each pair.

use semblance::{PairOptions, PredictOutput};

use super::{Report, Request, encoding_bytes, in_fields};
use crate::body::Pairs;
use crate::error::ApiError;
use crate::request::Field;
use crate::service::Service;

/// A request to score pairs.
pub(crate) struct PredictRequest {
    /// The pairs, at least one.
    pub(crate) pairs: Pairs,
    /// Truncation, and whether to return logits.
    pub(crate) options: PairOptions,
}

impl PredictRequest {
    fn field_of(&self, index: usize) -> Field {
        let Pairs { field, is_list, .. } = self.pairs;
        if is_list { field.at(index) } else { field }
    }
}

impl Request for PredictRequest {
    type Outcome = PredictOutput;

    const NAME: &'static str = "predict";

    fn memory_bytes(&self, service: &Service) -> usize {
        let texts = self.pairs.pairs.iter().flatten().map(String::as_str);
        encoding_bytes(texts, service.model().info().max_tokens)
    }

    fn run(&self, service: &Service) -> Result<(PredictOutput, Report), ApiError> {
        let pairs = self.pairs.pairs.iter();
        let pairs: Vec<_> =
            pairs.map(|[first, second]| (first.as_str(), second.as_str())).collect();
        let predicted = service.model().predict_with(&pairs, &self.options);
        let predicted =
            predicted.map_err(|error| in_fields(error, |index| self.field_of(index)))?;
        let report = predicted.cost.clone().into();
        Ok((predicted, report))
    }
}
