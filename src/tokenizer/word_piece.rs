//! WordPiece: splits a word, from the left, into the longest pieces in the vocabulary.

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
    /// The id of a word that cannot be split into pieces.
    pub(super) unknown: u32,
    /// The prefix of a piece that does not start its word.
    pub(super) continuing_prefix: String,
    /// Maximum number of characters of a word. A longer word is unknown.
    pub(super) max_word_chars: usize,
}

impl WordPiece {
    /// Returns the pieces of a word, or `None` if a piece is not in the vocabulary or the word is too
    /// long.
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

    /// Returns the longest prefix of `text` that is in the vocabulary and longer than `prefix_bytes`:
    /// its id, and its length in bytes without those `prefix_bytes`.
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

    /// Returns an error: a bundle is immutable.
    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        Err("the vocabulary of a bundle is read-only".into())
    }

    fn get_trainer(&self) -> WordPieceTrainer {
        WordPieceTrainer::default()
    }
}
