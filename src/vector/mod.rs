//! Vector arithmetic: pooling of token embeddings, normalization, similarity functions, activations.
//!
//! This module does not depend on tokenizers, sessions or requests.

mod activation;
mod embeddings;
mod pool;
mod score;

pub use activation::Activation;
pub use embeddings::{DegenerateVector, Embeddings};
pub use pool::{Pooling, pool};
pub use score::{SimilarityFunction, cosine, rank};
