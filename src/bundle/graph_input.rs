//! The inputs that a bundle's graph can have.

use serde::Deserialize;

/// An input of a bundle's graph. `tokens` are those of all texts, one text after the other, without
/// padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraphInput {
    /// Rows of the embedding table, float32 `[tokens, embedding]`.
    WordEmbeddings,
    /// Token ids, int32 `[tokens]`.
    InputIds,
    /// Position of each token in its text, from 0, int32 `[tokens]`.
    Positions,
    /// 0, or 1 for the second text of a pair, int32 `[tokens]`.
    TokenTypeIds,
    /// Where each text starts, and the number of tokens, int32 `[texts + 1]`.
    Offsets,
}

impl GraphInput {
    /// The inputs of a BERT graph, in their order.
    pub const BERT: [Self; 4] =
        [Self::WordEmbeddings, Self::Positions, Self::TokenTypeIds, Self::Offsets];

    /// Its name in the graph and in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WordEmbeddings => "word_embeddings",
            Self::InputIds => "input_ids",
            Self::Positions => "positions",
            Self::TokenTypeIds => "token_type_ids",
            Self::Offsets => "offsets",
        }
    }
}
