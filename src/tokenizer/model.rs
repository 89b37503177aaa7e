//! The models of this crate as one model of the tokenizers library.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::models::wordpiece::WordPieceTrainer;
use tokenizers::{Result, Token};

use super::bpe::Bpe;
use super::unigram::Unigram;
use super::word_piece::WordPiece;

/// The model of a bundle's tokenizer: splits a word into pieces of the vocabulary.
pub(super) enum Model {
    WordPiece(WordPiece),
    Unigram(Unigram),
    Bpe(Bpe),
}

impl tokenizers::Model for Model {
    type Trainer = WordPieceTrainer;

    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        match self {
            Self::WordPiece(model) => Ok(model.tokenize(word)),
            Self::Unigram(model) => model.tokenize(word),
            Self::Bpe(model) => Ok(model.tokenize(word)),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Self::WordPiece(model) => model.vocabulary.id(token),
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => {
                pieces.id(token)
            }
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        let token = match self {
            Self::WordPiece(model) => model.vocabulary.word(id),
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => {
                pieces.piece(id)
            }
        };
        token.map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Self::WordPiece(model) => {
                model.vocabulary.words().map(str::to_owned).zip(0..).collect()
            }
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => {
                pieces.iter().map(str::to_owned).zip(0..).collect()
            }
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Self::WordPiece(model) => model.vocabulary.len(),
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => pieces.len(),
        }
    }

    /// Returns an error: a bundle is immutable.
    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        Err("the vocabulary of a bundle is read-only".into())
    }

    fn get_trainer(&self) -> WordPieceTrainer {
        WordPieceTrainer::default()
    }
}
