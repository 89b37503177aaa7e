//! The vocabulary of a Unigram or BPE tokenizer, used in place from the memory map.

use std::path::Path;
use std::{io, str};

use memmap2::Mmap;

use super::piece_layout::{PieceLayout, Section};
use crate::bundle::map;

/// The vocabulary of a Unigram or BPE tokenizer, with the tables to look it up: `vocabulary.bin` of a
/// bundle. The id of a piece is its position.
///
/// Nothing is copied or built. [`PieceLayout`] describes the format. The start checks the header, the
/// size of the file and the ends of the pieces. A table that is wrong nonetheless cannot be read
/// outside of its section; it only finds other pieces or none.
#[derive(Debug)]
pub struct Pieces {
    map: Mmap,
    layout: PieceLayout,
}

/// Why a vocabulary of pieces is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PiecesError {
    /// The file cannot be read.
    #[error("the file cannot be mapped")]
    Map(#[from] io::Error),
    /// The file does not start like a vocabulary of pieces.
    #[error("the file does not start with the header of a vocabulary of pieces, version 1")]
    Header,
    /// A count of the header violates a rule.
    #[error("the header's {field} is {found}; expected {expected}")]
    Count {
        /// The count.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The rule.
        expected: &'static str,
    },
    /// The size of the file differs from that of its sections.
    #[error("the file has {found} bytes; its header declares {expected}")]
    Size {
        /// Size of the file in bytes.
        found: u64,
        /// Size of the header and the sections in bytes.
        expected: u64,
    },
    /// A piece is empty or ends outside of the text.
    #[error("piece {id} does not end after the previous one and within the text")]
    End {
        /// The piece.
        id: u32,
    },
}

/// The hash of a string that grows byte by byte: FNV-1a with 64 bits
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv-17>).
#[derive(Clone, Copy)]
pub(super) struct PieceHash(u64);

impl PieceHash {
    pub(super) const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    #[inline]
    pub(super) fn then(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    /// The first slot to look into and the tag that an entry must have.
    fn slot_and_tag(self) -> (u32, u32) {
        ((self.0 ^ (self.0 >> 32)) as u32, (self.0 >> 56) as u32)
    }
}

/// The bits of a slot that hold an id plus one. The others are the tag.
const ID_BITS: u32 = 24;

impl Pieces {
    /// Maps the vocabulary, requests its read-ahead and checks it.
    ///
    /// # Errors
    /// - [`PiecesError::Map`] if the file cannot be mapped.
    /// - [`PiecesError`] if it does not have the format.
    pub fn open(path: &Path) -> Result<Self, PiecesError> {
        let map = map::map(path)?;
        // Only speed depends on it.
        let _ = map::will_need(&map, 0..map.len());
        let layout = PieceLayout::parse(&map)?;
        let pieces = Self { map, layout };
        let mut previous = 0;
        for id in 0..layout.pieces {
            let end = pieces.u32(layout.ends, id as usize).unwrap_or(0);
            if end <= previous || end as usize > layout.text.bytes {
                return Err(PiecesError::End { id });
            }
            previous = end;
        }
        Ok(pieces)
    }

    /// Number of pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.pieces as usize
    }

    /// Whether there are no pieces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layout.pieces == 0
    }

    /// Number of merges.
    #[must_use]
    pub fn merges(&self) -> usize {
        self.layout.merges as usize
    }

    /// Whether each piece has a score.
    #[must_use]
    pub fn has_scores(&self) -> bool {
        self.layout.scores.bytes > 0 || self.is_empty()
    }

    /// Length of the longest piece in bytes.
    #[must_use]
    pub fn longest_bytes(&self) -> usize {
        self.layout.longest_bytes as usize
    }

    /// The smallest score.
    #[must_use]
    pub fn min_score(&self) -> f64 {
        self.layout.min_score
    }

    /// Returns the id of a piece.
    #[must_use]
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.find(PieceHash::EMPTY.then(piece.as_bytes()), piece.as_bytes())
    }

    /// Returns the id of the piece with these bytes, whose hash is `hash`.
    #[inline]
    pub(super) fn find(&self, hash: PieceHash, bytes: &[u8]) -> Option<u32> {
        let (first, tag) = hash.slot_and_tag();
        self.probe(self.layout.slots, first, tag, |id| self.bytes(id) == Some(bytes))
    }

    /// Returns the piece with an id.
    #[must_use]
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.bytes(id).and_then(|bytes| str::from_utf8(bytes).ok())
    }

    /// Returns the pieces in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.layout.pieces).map(|id| self.piece(id).unwrap_or_default())
    }

    /// Returns the score of a piece.
    #[inline]
    #[must_use]
    pub fn score(&self, id: u32) -> Option<f64> {
        let (scores, _) = self.section(self.layout.scores).as_chunks();
        scores.get(id as usize).map(|&score| f64::from_le_bytes(score))
    }

    /// Returns the merge of two adjacent pieces: its rank, and the id of the merged piece.
    #[must_use]
    pub fn merge(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let pair = (u64::from(left) << 32) | u64::from(right);
        // Fibonacci hashing: the golden ratio times 2^64.
        let hash = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let of =
            |rank: u32, part: usize| self.u32(self.layout.merge_parts, rank as usize * 3 + part);
        let (first, tag) = ((hash >> 32) as u32, (hash >> 56) as u32);
        let is_pair = |rank| of(rank, 0) == Some(left) && of(rank, 1) == Some(right);
        let rank = self.probe(self.layout.merge_slots, first, tag, is_pair)?;
        Some((rank, of(rank, 2)?))
    }

    /// Looks into the slots from `first` on, up to an empty one. Returns the index in the first entry
    /// that has this tag and that `is_wanted` accepts.
    #[inline]
    fn probe(
        &self,
        slots: Section,
        first: u32,
        tag: u32,
        is_wanted: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let (slots, _) = self.section(slots).as_chunks();
        // The number of slots is a power of two.
        let mask = slots.len().checked_sub(1)?;
        for offset in 0..slots.len() {
            let entry = u32::from_le_bytes(slots[(first as usize).wrapping_add(offset) & mask]);
            let index = (entry & ((1 << ID_BITS) - 1)).checked_sub(1)?;
            if entry >> ID_BITS == tag && is_wanted(index) {
                return Some(index);
            }
        }
        None
    }

    /// Returns the bytes of a piece.
    #[inline]
    fn bytes(&self, id: u32) -> Option<&[u8]> {
        let end = self.u32(self.layout.ends, id as usize)? as usize;
        let start = match id.checked_sub(1) {
            Some(before) => self.u32(self.layout.ends, before as usize)? as usize,
            None => 0,
        };
        self.section(self.layout.text).get(start..end)
    }

    #[inline]
    fn u32(&self, section: Section, index: usize) -> Option<u32> {
        let (values, _) = self.section(section).as_chunks();
        values.get(index).map(|&value| u32::from_le_bytes(value))
    }

    #[inline]
    fn section(&self, section: Section) -> &[u8] {
        // The layout was checked against the size of the file.
        &self.map[section.start..section.start + section.bytes]
    }
}
