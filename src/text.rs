//! Text to token ids, and token counts to batches.

mod batch;
mod tokenize;
mod vocabulary;

pub use batch::{Batch, BatchPlan, Budget};
pub use tokenize::{Encoding, Tokenizer, TokenizerError};
pub use vocabulary::{Vocabulary, VocabularyError};
