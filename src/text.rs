//! Text to token ids, and token counts to batches.

mod batch;
mod rules;
mod tokenize;
mod vocabulary;
mod word_piece;

pub use batch::{Batch, BatchPlan, Budget};
pub use tokenize::{Encoding, Side, Token, Tokenizer, TokenizerError, TokenizerLimits};
pub use vocabulary::{Vocabulary, VocabularyError};
