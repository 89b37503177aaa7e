//! WordPiece: a word to the longest pieces that the vocabulary has, from the left.

use std::ops::Range;

use super::Vocabulary;

/// What a WordPiece tokenizer knows.
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

/// A piece of a word: its id, and which bytes of the word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) id: u32,
    pub(super) bytes: Range<usize>,
}

impl WordPiece {
    /// Returns the pieces of a word, or the one unknown piece if the vocabulary lacks one of them
    /// or the word is too long. No word has no pieces.
    pub(super) fn pieces(&self, word: &str) -> Vec<Piece> {
        let unknown = || vec![Piece { id: self.unknown, bytes: 0..word.len() }];
        if word.chars().count() > self.max_word_chars {
            return unknown();
        }
        let mut pieces = Vec::new();
        let mut continuing = String::new();
        let mut start = 0;
        while start < word.len() {
            let rest = &word[start..];
            let found = if start == 0 {
                self.longest(rest, 0)
            } else {
                continuing.clear();
                continuing.push_str(&self.continuing_prefix);
                continuing.push_str(rest);
                self.longest(&continuing, self.continuing_prefix.len())
            };
            let Some((id, length)) = found else { return unknown() };
            pieces.push(Piece { id, bytes: start..start + length });
            start += length;
        }
        pieces
    }

    /// The longest start of `text` that is a word and goes beyond the prefix: its id, and its
    /// bytes without the prefix.
    fn longest(&self, text: &str, prefix_bytes: usize) -> Option<(u32, usize)> {
        text[prefix_bytes..].char_indices().rev().find_map(|(last, char)| {
            let length = last + char.len_utf8();
            self.vocabulary.id(&text[..prefix_bytes + length]).map(|id| (id, length))
        })
    }
}
