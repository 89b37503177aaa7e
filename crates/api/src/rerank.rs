//! The rerank operation: a query and texts in, what each is worth to the query out.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Cut, Field, Texts};

/// A checked request: score each text by its worth to the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankRequest {
    /// The query; one text.
    pub query: Texts,
    /// The texts; at least one.
    pub texts: Texts,
    /// What happens to a text, or a pair of texts, beyond the model's limit.
    pub cut: Cut,
    /// Whether the cross-encoder's logits are wanted in place of its scores.
    pub raw_scores: bool,
    /// How many of the best texts are wanted; none for all.
    pub top_n: Option<usize>,
    /// Whether the answer holds the texts.
    pub return_texts: bool,
}

impl RerankRequest {
    /// The field of text `index`, where 0 is the query and texts follow.
    #[must_use]
    pub fn field_of(&self, index: usize) -> Field {
        match index.checked_sub(1) {
            None => self.query.field_of(0),
            Some(text) => self.texts.field_of(text),
        }
    }
}

/// Scores of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Reranked {
    /// One score a text, in input order: by a cross-encoder its score or logit, by a bi-encoder the
    /// cosine similarity in [-1, 1].
    pub scores: Vec<f32>,
    /// What scored them.
    pub scored_by: Scorer,
}

/// What scores pairs of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scorer {
    /// A model that reads both texts together.
    CrossEncoder,
    /// A model that embeds each text by itself.
    BiEncoder,
}

impl Scorer {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEncoder => "cross-encoder",
            Self::BiEncoder => "bi-encoder",
        }
    }
}
