//! Unigram: splits a text into the pieces with the largest sum of scores.

use tokenizers::{Result, Token};

use super::byte_pieces::byte_pieces;
use super::pieces::{PieceHash, Pieces};

/// What is subtracted from the smallest score for an unknown character, as in SentencePiece
/// (<https://github.com/google/sentencepiece/blob/master/src/unigram_model.cc>).
const UNKNOWN_PENALTY: f64 = 10.0;

/// The model of a Unigram tokenizer.
pub(super) struct Unigram {
    pub(super) pieces: Pieces,
    /// The id of an unknown part.
    pub(super) unknown: Option<u32>,
    /// Whether an unknown part is represented by the pieces of its bytes.
    pub(super) byte_fallback: bool,
}

/// The best path to a position.
#[derive(Clone, Copy)]
struct Step {
    /// The sum of the scores.
    score: f64,
    /// Where the last piece starts, or `NONE`.
    start: usize,
    /// The last piece.
    id: u32,
}

const NONE: usize = usize::MAX;

impl Step {
    /// Whether a path with this score replaces the best one. An equal score does not.
    fn is_worse_than(&self, score: f64) -> bool {
        self.start == NONE || score > self.score
    }
}

impl Unigram {
    /// Returns the pieces of a text. Adjacent unknown characters are one part.
    ///
    /// # Errors
    /// If a character is unknown and the model has no unknown token.
    pub(super) fn tokenize(&self, text: &str) -> Result<Vec<Token>> {
        let steps = self.best_paths(text)?;
        let mut parts = Vec::new();
        let mut end = text.len();
        while end > 0 {
            let Step { mut start, id, .. } = steps[end];
            let is_unknown = Some(id) == self.unknown;
            while is_unknown && start > 0 && Some(steps[start].id) == self.unknown {
                start = steps[start].start;
            }
            parts.push((start, end, (!is_unknown).then_some(id)));
            end = start;
        }
        let mut tokens = Vec::with_capacity(parts.len());
        for (start, end, id) in parts.into_iter().rev() {
            self.push(&mut tokens, text, (start, end), id)?;
        }
        Ok(tokens)
    }

    /// Returns the best path to each position, by Viterbi's algorithm: from left to right, a shorter
    /// piece before a longer one; an equal sum does not replace an earlier one.
    fn best_paths(&self, text: &str) -> Result<Vec<Step>> {
        let unknown_score = self.pieces.min_score() - UNKNOWN_PENALTY;
        let bytes = text.as_bytes();
        let mut steps = vec![Step { score: 0.0, start: NONE, id: 0 }; text.len() + 1];
        for (start, first) in text.char_indices() {
            let so_far = steps[start].score;
            let (mut hash, mut end) = (PieceHash::EMPTY, start);
            let mut has_single = false;
            for char in text[start..].chars() {
                let next = end + char.len_utf8();
                if next - start > self.pieces.longest_bytes() {
                    break;
                }
                hash = hash.then(&bytes[end..next]);
                end = next;
                if let Some(id) = self.pieces.find(hash, &bytes[start..end]) {
                    let score = self.pieces.score(id).unwrap_or(0.0) + so_far;
                    if steps[end].is_worse_than(score) {
                        steps[end] = Step { score, start, id };
                    }
                    has_single |= end - start == first.len_utf8();
                }
            }
            let (end, score) = (start + first.len_utf8(), unknown_score + so_far);
            if !has_single && steps[end].is_worse_than(score) {
                let id = self.unknown.ok_or("the model has no token for unknown text")?;
                steps[end] = Step { score, start, id };
            }
        }
        Ok(steps)
    }

    /// Appends the token of a part, or the tokens of its bytes. Without an id, the part is unknown to
    /// the best path; together, its characters can still be a piece.
    fn push(
        &self,
        tokens: &mut Vec<Token>,
        text: &str,
        (start, end): (usize, usize),
        id: Option<u32>,
    ) -> Result<()> {
        let part = &text[start..end];
        let id = match id.or_else(|| self.pieces.id(part)) {
            Some(id) => id,
            None => {
                let ids = self.byte_fallback.then(|| byte_pieces(&self.pieces, part)).flatten();
                if let Some(ids) = ids {
                    let name = |id| self.pieces.piece(id).unwrap_or_default().to_owned();
                    tokens.extend(ids.into_iter().map(|id| Token::new(id, name(id), (start, end))));
                    return Ok(());
                }
                self.unknown.ok_or("the model has no token for unknown text")?
            }
        };
        tokens.push(Token::new(id, part.to_owned(), (start, end)));
        Ok(())
    }
}
