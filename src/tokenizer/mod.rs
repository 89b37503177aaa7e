//! Text to token ids. This is the only module that uses the `tokenizers` crate.

mod boundaries;
mod bpe;
mod byte_pieces;
mod charsmap;
mod encoding;
mod error;
mod model;
mod pair;
mod piece_layout;
mod pieces;
mod rule_types;
mod rules;
mod tokenize;
mod turns;
mod unigram;
mod vocabulary;
mod word_piece;

pub use encoding::{Count, Encoding, Reading, Side, Token};
pub use error::TokenizerError;
pub use piece_layout::PieceLayout;
pub use pieces::{Pieces, PiecesError};
pub use tokenize::{TextTokens, Tokenizer, TokenizerLimits};
pub use vocabulary::{Vocabulary, VocabularyError};
