//! Logits to scores.

use serde::Deserialize;

/// What makes a score of a cross-encoder's logit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `1 / (1 + exp(-x))`, in (0, 1): sentence-transformers' default for one label.
    Sigmoid,
    /// `x`: its default for several.
    Identity,
}

impl Activation {
    /// Returns the score of a logit.
    ///
    /// # Examples
    /// ```
    /// use semblance::internals::vector::Activation;
    ///
    /// assert_eq!(Activation::Sigmoid.of(0.0), 0.5);
    /// assert_eq!(Activation::Identity.of(-2.5), -2.5);
    /// ```
    #[must_use]
    pub fn of(self, logit: f32) -> f32 {
        match self {
            Self::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
            Self::Identity => logit,
        }
    }
}
