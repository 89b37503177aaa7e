//! Pure arithmetic on vectors: pooling token embeddings, unit rows, cosine scores.
//!
//! Nothing here knows a tokenizer, a session or a request.

mod activation;
mod embeddings;
mod pool;
mod score;

pub use activation::Activation;
pub use embeddings::{DegenerateVector, Embeddings};
pub use pool::{Pooling, pool};
pub use score::{cosine, rank};
