//! The embed operation: texts in, their embeddings out.

use ndarray::Array2;

use super::{Cut, Field, Texts};
use crate::text::Side;

/// A checked request: embed each text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedRequest {
    /// The texts; at least one.
    pub texts: Texts,
    /// What happens to a text beyond the model's limit.
    pub cut: Cut,
    /// The prompt that is put before each text.
    pub prompt_name: Option<String>,
    /// Whether the embeddings are to be of unit length; none leaves it to the model.
    pub normalize: Option<bool>,
    /// How many leading dimensions are wanted; none for all. What is left is brought to unit length
    /// again, if embeddings are to be: Matryoshka truncation (<https://arxiv.org/abs/2205.13147>).
    pub dimensions: Option<usize>,
}

impl EmbedRequest {
    /// Returns the request for these texts, checked before, as the model is meant to embed them: cut
    /// on the right if they are too long.
    #[must_use]
    pub fn of_texts(texts: Vec<String>) -> Self {
        Self {
            texts: Texts::list(Field::named("inputs"), texts),
            cut: Cut::At(Side::Right),
            prompt_name: None,
            normalize: None,
            dimensions: None,
        }
    }
}

/// Embeddings of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// `[texts, dim]`, f32; unit length if the request, or else the bundle, says so.
    pub vectors: Array2<f32>,
    /// Of each text: tokens before any cut, and whether it was cut.
    pub tokens: Vec<(usize, bool)>,
}
