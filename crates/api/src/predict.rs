//! The predict operation: pairs of texts in, the cross-encoder's score of each label out.

use ndarray::Array2;

use super::{Cut, Field};

/// A checked request: score each pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictRequest {
    /// The pairs; at least one.
    pub pairs: Vec<[String; 2]>,
    /// Whether they came as a list of pairs, and not as one pair.
    pub is_list: bool,
    /// What happens to a pair beyond the model's limit.
    pub cut: Cut,
    /// Whether logits are wanted in place of scores.
    pub raw_scores: bool,
}

impl PredictRequest {
    /// Name of the pairs on the wire.
    pub(super) const PAIRS: &'static str = "inputs";

    /// The field of pair `index`.
    #[must_use]
    pub fn field_of(&self, index: usize) -> Field {
        let field = Field::named(Self::PAIRS);
        if self.is_list { field.at(index) } else { field }
    }
}

/// Scores of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// `[pairs, labels]`, f32: scores, or logits if those were wanted.
    pub scores: Array2<f32>,
}
