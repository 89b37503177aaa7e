//! WordPiece: splits a word, from the left, into the longest pieces in the vocabulary.

use tokenizers::Token;

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
    /// Returns the pieces of a word. A word that cannot be split is unknown.
    pub(super) fn tokenize(&self, word: &str) -> Vec<Token> {
        let unknown = || vec![self.token(self.unknown, 0, word.len())];
        self.pieces(word).unwrap_or_else(unknown)
    }

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
