//! The layout of a vocabulary of pieces. It is untrusted until it is validated.

use super::PiecesError;

/// What the file starts with, followed by the version.
const MAGIC: [u8; 8] = *b"SEMPIECE";
const VERSION: u32 = 1;

/// Size of the header in bytes.
const HEADER_BYTES: usize = 64;

/// The largest number of pieces and of merges: a slot has 24 bits for an index plus one.
const MAX_COUNT: u32 = (1 << 24) - 2;

/// The layout of a vocabulary of pieces, version 1. All numbers are little-endian.
///
/// The header has 64 bytes: `SEMPIECE`; u32 version, pieces, slots, merges, merge slots, length of the
/// longest piece in bytes; u64 size of the text in bytes; u32 1 if there are scores, otherwise 0; u32 0;
/// f64 smallest score; u64 0. The sections follow without gaps:
///
/// | section | type | content |
/// |---|---|---|
/// | scores | f64 `[pieces]` | the score of each piece; absent without scores |
/// | ends | u32 `[pieces]` | where each piece ends in the text, in bytes |
/// | slots | u32 `[slots]` | a hash table: 0, or an id plus one in the lower 24 bits and a tag in the upper 8 |
/// | merges | u32 `[merges, 3]` | ids of the left, the right and the merged piece, by rank |
/// | merge slots | u32 `[merge slots]` | a hash table of ranks, like `slots` |
/// | text | bytes | the pieces, one after the other |
///
/// Both tables use linear probing from the slot that the hash modulo the number of slots selects; the
/// tag is the upper byte of the hash. The hash of a piece is FNV-1a with 64 bits, and its slot is
/// selected by the exclusive or of its halves. The hash of a merge is `left * 2^32 + right` times
/// 0x9e3779b97f4a7c15, and its slot is selected by the upper half.
#[derive(Clone, Copy, Debug)]
pub struct PieceLayout {
    pub(super) pieces: u32,
    pub(super) merges: u32,
    pub(super) longest_bytes: u32,
    pub(super) min_score: f64,
    pub(super) scores: Section,
    pub(super) ends: Section,
    pub(super) slots: Section,
    pub(super) merge_parts: Section,
    pub(super) merge_slots: Section,
    pub(super) text: Section,
}

/// A part of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Offset in bytes.
    pub(super) start: usize,
    /// Size in bytes.
    pub(super) bytes: usize,
}

impl PieceLayout {
    /// Reads the header and checks it against the size of the file.
    ///
    /// # Errors
    /// - [`PiecesError::Header`] if the file does not start with a header of version 1.
    /// - [`PiecesError::Count`] if a count violates a rule.
    /// - [`PiecesError::Size`] if the size of the file differs from the header.
    pub(super) fn parse(file: &[u8]) -> Result<Self, PiecesError> {
        let header = file.first_chunk::<HEADER_BYTES>().ok_or(PiecesError::Header)?;
        let (words, _) = header.as_chunks();
        let word = |index: usize| u32::from_le_bytes(words[index]);
        let pair = |index: usize| u64::from(word(index)) | (u64::from(word(index + 1)) << 32);
        if header[..8] != MAGIC || word(2) != VERSION {
            return Err(PiecesError::Header);
        }
        let (pieces, slots, merges, merge_slots) = (word(3), word(4), word(5), word(6));
        let (longest_bytes, text, has_scores) = (word(7), pair(8), word(10));
        for (field, count) in [("number of pieces", pieces), ("number of merges", merges)] {
            let expected = "at most 16777214";
            check(count <= MAX_COUNT, field, count, expected)?;
        }
        for (field, slots, count) in
            [("number of slots", slots, pieces), ("number of merge slots", merge_slots, merges)]
        {
            let expected = "a power of two that exceeds the number of entries";
            check(slots.is_power_of_two() && slots > count, field, slots, expected)?;
        }
        check(has_scores <= 1, "scores", has_scores, "0 or 1")?;
        let min_score = f64::from_bits(pair(12));
        let mut end = HEADER_BYTES as u64;
        let mut next = |count: u32, size: u64| {
            let bytes = u64::from(count) * size;
            let start = end;
            end += bytes;
            // The sum of the sections is compared with the size of the file.
            Section { start: start as usize, bytes: bytes as usize }
        };
        let layout = Self {
            pieces,
            merges,
            longest_bytes,
            min_score,
            scores: next(pieces * has_scores, 8),
            ends: next(pieces, 4),
            slots: next(slots, 4),
            merge_parts: next(merges, 12),
            merge_slots: next(merge_slots, 4),
            text: Section { start: 0, bytes: 0 },
        };
        let (found, expected) = (file.len() as u64, end.saturating_add(text));
        if found != expected {
            return Err(PiecesError::Size { found, expected });
        }
        let text = Section { start: end as usize, bytes: text as usize };
        Ok(Self { text, ..layout })
    }
}

fn check(
    holds: bool,
    field: &'static str,
    found: u32,
    expected: &'static str,
) -> Result<(), PiecesError> {
    let found = u64::from(found);
    if holds { Ok(()) } else { Err(PiecesError::Count { field, found, expected }) }
}
