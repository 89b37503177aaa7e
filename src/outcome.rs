//! What the operations of a model return.

use ndarray::Array2;

use crate::cost::Cost;
pub use crate::tokenizer::Token;
pub use crate::vector::rank;

/// Scores of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// One score for each text, in input order.
    pub scores: Vec<f32>,
    /// The model that computed them.
    pub scored_by: Scorer,
    /// What the call cost.
    pub cost: Cost,
}

/// The kind of model that scores texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scorer {
    /// A cross-encoder: reads both texts together. A score is the activation of a logit, or the logit.
    CrossEncoder,
    /// The embedding model: embeds each text separately. A score is a cosine similarity in [-1, 1].
    BiEncoder,
}

/// A text in a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedText {
    /// Index of the text in the call, from 0.
    pub index: usize,
    /// Its score.
    pub score: f32,
}

/// Embeddings of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedOutput {
    /// `[texts, dim]`, f32. Rows have unit length if the options request it; by default, the bundle
    /// decides.
    pub vectors: Array2<f32>,
    /// For each text: its number of tokens before truncation, and whether it was truncated. For a
    /// truncated text, the number is exact if the options request it; otherwise it is a number beyond the
    /// model's limit, and at most the exact one.
    pub tokens: Vec<(usize, bool)>,
    /// What the call cost.
    pub cost: Cost,
}

/// Token embeddings of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenEmbeddings {
    /// For each text: `[tokens, hidden]`, f32, the output of the transformer, special tokens included.
    pub texts: Vec<Array2<f32>>,
    /// What the call cost.
    pub cost: Cost,
}

/// Scores of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictOutput {
    /// `[pairs, labels]`, f32: scores, or logits if the options request them.
    pub scores: Array2<f32>,
    /// What the call cost.
    pub cost: Cost,
}

/// Tokens of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizeOutput {
    /// The tokens of each text, not truncated.
    pub tokens: Vec<Vec<Token>>,
    /// What the call cost.
    pub cost: Cost,
}
