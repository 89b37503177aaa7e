//! Vector arithmetic: pooling of token embeddings, dense layers, normalization, similarity functions,
//! activations.
//!
//! This module does not depend on tokenizers, sessions or requests.

mod activation;
mod dense;
mod embeddings;
mod pool;
mod score;

pub use activation::Activation;
pub use dense::{DenseActivation, DenseLayer, DenseShape};
pub use embeddings::{DegenerateVector, Embeddings};
pub use pool::{Pooling, Poolings, pool};
pub use score::{SimilarityFunction, cosine, rank};
