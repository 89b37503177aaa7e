//! Text to token ids. This is the only module that uses the `tokenizers` crate.

mod encoding;
mod rules;
mod tokenize;
mod turns;
mod vocabulary;
mod word_piece;

pub use encoding::{Encoding, Side, Token};
pub use tokenize::{Tokenizer, TokenizerError, TokenizerLimits};
pub use vocabulary::{Vocabulary, VocabularyError};
