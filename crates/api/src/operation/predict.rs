//! The operation `predict`: returns the cross-encoder's score of each label for each pair.

use semblance::outcome::PredictOutput;
use semblance::{ModelError, PairOptions};

use super::kept::{Kept, ListFaults, Listed};
use super::{Report, Request, encoding_bytes, in_fields};
use crate::body::Pairs;
use crate::error::ApiError;
use crate::request::Field;
use crate::service::Service;

/// A request to score pairs of texts, or single texts.
pub(crate) struct PredictRequest {
    /// The pairs, at least one.
    pub(crate) pairs: Pairs,
    /// Truncation, and whether to return logits.
    pub(crate) options: PairOptions,
}

impl PredictRequest {
    /// Returns the error of a pair as the error of a field: the empty text of it, or the pair.
    fn in_fields(&self, error: ModelError, index_of: impl Fn(usize) -> usize) -> ApiError {
        let part = match error {
            ModelError::EmptyText { text, .. } => Some(text),
            _ => None,
        };
        let field_of = |item| -> Field {
            let field = self.pairs.field_of(index_of(item));
            match (part, self.pairs.is_list) {
                (None, _) => field,
                (Some(_), false) if self.pairs.is_text => field,
                (Some(text), false) => field.at(text),
                (Some(0), true) => field.part("[0]"),
                (Some(_), true) => field.part("[1]"),
            }
        };
        in_fields(error, field_of)
    }
}

impl Request for PredictRequest {
    type Outcome = Listed<PredictOutput>;

    const NAME: &'static str = "predict";

    fn memory_bytes(&self, service: &Service) -> usize {
        let texts = self.pairs.pairs.iter();
        let texts = texts.flat_map(|pair| [Some(&*pair.first), pair.second.as_deref()]).flatten();
        encoding_bytes(texts, service.model().info().max_tokens)
    }

    fn run(&self, service: &Service) -> Result<(Listed<PredictOutput>, Report), ApiError> {
        let (model, pairs) = (service.model(), &self.pairs.pairs);
        let of = |items: &[usize]| -> Vec<_> {
            items.iter().map(|&item| pairs[item].as_sequence()).collect()
        };
        let faults = ListFaults {
            count: pairs.len(),
            keeps_good: self.pairs.keeps_good,
            faults: &self.pairs.faults,
        };
        let kept = Kept::new(
            faults,
            |index| self.pairs.field_of(index),
            |items| model.pair_faults(&of(items), &self.options),
        )?;
        let predicted = model.predict_with(&of(&kept.items), &self.options);
        let predicted =
            predicted.map_err(|error| self.in_fields(error, |item| kept.items[item]))?;
        let mut report: Report = predicted.cost.clone().into();
        kept.restore(&mut report.cost, 0, &self.pairs.cut);
        Ok((kept.listed(predicted, pairs.len()), report))
    }
}
