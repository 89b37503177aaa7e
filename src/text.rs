//! Text to token ids, and token counts to batches.

mod batch;
mod encoding;
mod rules;
mod tokenize;
mod vocabulary;
mod word_piece;

pub use batch::{Batch, BatchPlan, Budget};
pub use encoding::{Encoding, Side, Token};
pub use tokenize::{Tokenizer, TokenizerError, TokenizerLimits};
pub use vocabulary::{Vocabulary, VocabularyError};
