//! WordPiece: a word to the longest pieces that the vocabulary has, from the left.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::models::wordpiece::WordPieceTrainer;
use tokenizers::{Model, Result, Token};

use super::Vocabulary;

/// The model of a WordPiece tokenizer.
///
/// Greedy longest match first, as in BERT's `WordpieceTokenizer`
/// (<https://github.com/google-research/bert/blob/master/tokenization.py>).
pub(super) struct WordPiece {
    pub(super) vocabulary: Vocabulary,
    /// The id of a word that cannot be put together.
    pub(super) unknown: u32,
    /// What stands before a piece that does not open its word.
    pub(super) continuing_prefix: String,
    /// A word of more characters is unknown.
    pub(super) max_word_chars: usize,
}

impl WordPiece {
    /// Returns the pieces of a word, or nothing if the vocabulary lacks one of them or the word is
    /// too long.
    fn pieces(&self, word: &str) -> Option<Vec<Token>> {
        if word.chars().count() > self.max_word_chars {
            return None;
        }
        let mut pieces = Vec::new();
        let mut continuing = String::new();
        let mut start = 0;
        while start < word.len() {
            let rest = &word[start..];
            let (id, length) = if start == 0 {
                self.longest(rest, 0)?
            } else {
                continuing.clear();
                continuing.push_str(&self.continuing_prefix);
                continuing.push_str(rest);
                self.longest(&continuing, self.continuing_prefix.len())?
            };
            pieces.push(self.token(id, start, start + length));
            start += length;
        }
        Some(pieces)
    }

    /// The longest start of `text` that is a word and goes beyond the prefix: its id, and its
    /// bytes without the prefix.
    fn longest(&self, text: &str, prefix_bytes: usize) -> Option<(u32, usize)> {
        text[prefix_bytes..].char_indices().rev().find_map(|(last, char)| {
            let length = last + char.len_utf8();
            self.vocabulary.id(&text[..prefix_bytes + length]).map(|id| (id, length))
        })
    }

    fn token(&self, id: u32, start: usize, end: usize) -> Token {
        let word = self.vocabulary.word(id).unwrap_or_default();
        Token::new(id, word.to_owned(), (start, end))
    }
}

impl Model for WordPiece {
    type Trainer = WordPieceTrainer;

    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        let unknown = || vec![self.token(self.unknown, 0, word.len())];
        Ok(self.pieces(word).unwrap_or_else(unknown))
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary.id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.vocabulary.word(id).map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.vocabulary.words().map(str::to_owned).zip(0..).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Fails: a bundle is built elsewhere, and never written to.
    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        Err("the vocabulary of a bundle is only read".into())
    }

    fn get_trainer(&self) -> WordPieceTrainer {
        WordPieceTrainer::default()
    }
}
