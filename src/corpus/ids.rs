//! The file `ids.bin`: the rows of a segment, ordered by the digest of their ids.
//!
//! An entry is the first 8 bytes of the sha256 of the id and the number of the row (u64 each,
//! little-endian).

use sha2::{Digest as _, Sha256};

use super::error::CorpusError;
use super::texts::Texts;
use crate::bundle::map::Mmap;

/// Name of the file.
pub(crate) const IDS_FILE: &str = "ids.bin";

/// Size of an entry in bytes.
pub(crate) const ENTRY_BYTES: usize = 16;

/// Returns the content of the file.
pub(crate) fn encode<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut entries: Vec<(u64, u64)> = (0..).zip(ids).map(|(row, id)| (key(id), row)).collect();
    entries.sort_unstable();
    entries.iter().flat_map(|(key, row)| [key.to_le_bytes(), row.to_le_bytes()]).flatten().collect()
}

/// Returns the rows with an id. Only the last one is live, if any.
pub(crate) fn find(map: &Mmap, texts: &Texts, id: &str) -> Result<Vec<usize>, CorpusError> {
    let (entries, _) = map.as_chunks::<ENTRY_BYTES>();
    let key = key(id);
    let of = |entry: &[u8; ENTRY_BYTES]| {
        let (key, row) = entry.split_at(8);
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        (number(key), number(row))
    };
    let first = entries.partition_point(|entry| of(entry).0 < key);
    let mut rows = Vec::new();
    for entry in entries[first..].iter().map(of).take_while(|entry| entry.0 == key) {
        let row = usize::try_from(entry.1).unwrap_or(usize::MAX);
        if texts.id(row)? == id {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn key(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
