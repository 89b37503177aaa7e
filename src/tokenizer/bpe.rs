//! Byte pair encoding: splits a word into characters and merges adjacent pieces, the merge of the
//! lowest rank first.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokenizers::Token;

use super::byte_pieces::byte_pieces;
use super::pieces::Pieces;

/// The model of a BPE tokenizer (Sennrich et al., <https://aclanthology.org/P16-1162>).
pub(super) struct Bpe {
    pub(super) pieces: Pieces,
    /// The id of an unknown character. Without one, unknown characters are dropped.
    pub(super) unknown: Option<u32>,
    /// Whether adjacent unknown characters are one token.
    pub(super) fuse_unknown: bool,
    /// Whether an unknown character is represented by the pieces of its bytes.
    pub(super) byte_fallback: bool,
    /// Whether a word that is a piece is not split.
    pub(super) ignore_merges: bool,
    /// The prefix of a piece that does not start its word.
    pub(super) continuing_prefix: String,
    /// The suffix of a piece that ends its word.
    pub(super) end_suffix: String,
}

/// A piece of a word that can still be merged.
#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    /// Length in bytes; 0 after it was merged into the previous symbol.
    bytes: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// The symbols of a word, in their order.
#[derive(Default)]
struct Word {
    symbols: Vec<Symbol>,
}

impl Word {
    fn push(&mut self, id: u32, bytes: usize) {
        let index = self.symbols.len();
        let previous = index.checked_sub(1);
        if let Some(last) = self.symbols.last_mut() {
            last.next = Some(index);
        }
        self.symbols.push(Symbol { id, bytes, previous, next: None });
    }
}

impl Bpe {
    /// Returns the pieces of a word.
    pub(super) fn tokenize(&self, word: &str) -> Vec<Token> {
        if self.ignore_merges
            && let Some(id) = self.pieces.id(word)
        {
            return vec![Token::new(id, word.to_owned(), (0, word.len()))];
        }
        let mut symbols = self.symbols(word);
        self.merge(&mut symbols);
        let mut start = 0;
        let symbols = symbols.symbols.into_iter().filter(|symbol| symbol.bytes > 0);
        let tokens = symbols.map(|Symbol { id, bytes, .. }| {
            let end = start + bytes;
            let name = self.pieces.piece(id).unwrap_or_default().to_owned();
            let token = Token::new(id, name, (start, end));
            start = end;
            token
        });
        tokens.collect()
    }

    /// Returns the characters of a word as symbols.
    fn symbols(&self, word: &str) -> Word {
        let mut symbols = Word::default();
        // Unknown characters that were not pushed yet: their length in bytes.
        let mut unknown: Option<(u32, usize)> = None;
        for (start, char) in word.char_indices() {
            let bytes = char.len_utf8();
            let part = self.part(word, start, start + bytes);
            if let Some(id) = self.pieces.id(&part) {
                if let Some((id, bytes)) = unknown.take() {
                    symbols.push(id, bytes);
                }
                symbols.push(id, bytes);
                continue;
            }
            let ids = self.byte_fallback.then(|| byte_pieces(&self.pieces, &part)).flatten();
            if let Some(ids) = ids {
                // As in the library, unknown characters before these bytes are pushed after them.
                for id in ids {
                    symbols.push(id, 1);
                }
                continue;
            }
            let Some(id) = self.unknown else { continue };
            unknown = match unknown {
                Some((id, before)) if self.fuse_unknown => Some((id, before + bytes)),
                Some((before, bytes_before)) => {
                    symbols.push(before, bytes_before);
                    Some((id, bytes))
                }
                None => Some((id, bytes)),
            };
        }
        if let Some((id, bytes)) = unknown {
            symbols.push(id, bytes);
        }
        symbols
    }

    /// Returns a character with the prefix and the suffix of its place in the word.
    fn part<'a>(&self, word: &'a str, start: usize, end: usize) -> Cow<'a, str> {
        let char = &word[start..end];
        let prefix = if start == 0 { "" } else { self.continuing_prefix.as_str() };
        let suffix = if end == word.len() { self.end_suffix.as_str() } else { "" };
        match (prefix, suffix) {
            ("", "") => char.into(),
            _ => format!("{prefix}{char}{suffix}").into(),
        }
    }

    /// Merges adjacent symbols until no merge applies: the lowest rank first, then the leftmost.
    fn merge(&self, word: &mut Word) {
        let symbols = &mut word.symbols;
        // Rank, position of the left symbol, id of the merged piece.
        let mut queue: BinaryHeap<Reverse<(u32, usize, u32)>> =
            BinaryHeap::with_capacity(symbols.len());
        let offer = |queue: &mut BinaryHeap<_>, symbols: &[Symbol], left: usize| {
            let Some(right) = symbols[left].next else { return };
            if let Some((rank, id)) = self.pieces.merge(symbols[left].id, symbols[right].id) {
                queue.push(Reverse((rank, left, id)));
            }
        };
        for left in 0..symbols.len() {
            offer(&mut queue, symbols, left);
        }
        while let Some(Reverse((_, left, id))) = queue.pop() {
            let Some(right) = symbols[left].next.filter(|_| symbols[left].bytes > 0) else {
                continue;
            };
            // The symbols have changed since the merge was queued if they would give another piece.
            let merge = self.pieces.merge(symbols[left].id, symbols[right].id);
            if merge.is_none_or(|(_, merged)| merged != id) {
                continue;
            }
            let Symbol { bytes, next, .. } = symbols[right];
            symbols[left].id = id;
            symbols[left].bytes += bytes;
            symbols[left].next = next;
            symbols[right].bytes = 0;
            if let Some(next) = next {
                symbols[next].previous = Some(left);
            }
            if let Some(previous) = symbols[left].previous {
                offer(&mut queue, symbols, previous);
            }
            offer(&mut queue, symbols, left);
        }
    }
}
