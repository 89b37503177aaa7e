//! Text to token ids. The only folder that names `tokenizers`.

mod encoding;
mod rules;
mod tokenize;
mod vocabulary;
mod word_piece;

pub use encoding::{Encoding, Side, Token};
pub use tokenize::{Tokenizer, TokenizerError, TokenizerLimits};
pub use vocabulary::{Vocabulary, VocabularyError};
