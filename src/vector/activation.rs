//! Activation functions: logits to scores.

use serde::Deserialize;

/// The function that converts a logit of a cross-encoder into a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `1 / (1 + exp(-x))`, in (0, 1). The default of sentence-transformers for one label.
    Sigmoid,
    /// `x`. The default of sentence-transformers for several labels.
    Identity,
}

impl Activation {
    /// Returns the score of a logit.
    ///
    /// # Examples
    /// ```
    /// use semblance::internals::vector::Activation;
    ///
    /// assert_eq!(Activation::Sigmoid.apply(0.0), 0.5);
    /// assert_eq!(Activation::Identity.apply(-2.5), -2.5);
    /// ```
    #[must_use]
    pub fn apply(self, logit: f32) -> f32 {
        match self {
            Self::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
            Self::Identity => logit,
        }
    }
}
