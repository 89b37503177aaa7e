//! Text to token ids, and token counts to batches.

mod batch;
mod tokenize;

pub use batch::{Batch, BatchPlan, Budget};
pub use tokenize::{Encoding, Tokenizer, TokenizerError};
