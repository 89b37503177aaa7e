//! Vectors of texts that were seen before: bounded in bytes, least recently used out first.

use lru::LruCache;
use ndarray::{Array1, ArrayView1};
use sha2::{Digest, Sha256};

use crate::tokenizer::Side;

/// The digest of a text, which stands for it: a cache keeps no user's text.
///
/// A cache belongs to one encoder and so to one bundle, which therefore is no part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Returns the sha256 of a text and of the side on which it is cut.
    pub(super) fn of(text: &str, side: Side) -> Self {
        let side = match side {
            Side::Right => 0,
            Side::Left => 1,
        };
        Self(Sha256::new().chain_update([side]).chain_update(text.as_bytes()).finalize().into())
    }
}

/// What the encoder knows of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Its pooled vector, `[dim]`, f32, not normalised.
    pub(super) pooled: Array1<f32>,
    /// Its tokens, special tokens counted, before any cut.
    pub(super) total_tokens: usize,
    /// Whether the model read fewer.
    pub(super) is_truncated: bool,
}

/// Most bytes that a cache may hold; 0 switches it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimit {
    /// Vectors with keys and bookkeeping.
    pub bytes: usize,
}

impl Default for CacheLimit {
    /// 16 MiB: about 9,500 vectors of 384 dimensions.
    fn default() -> Self {
        Self { bytes: 16 << 20 }
    }
}

/// Bytes of an entry beside its vector: key, counts, the two links of the list, the slot of the
/// map at its usual load, and what an allocation costs.
const OVERHEAD_BYTES: usize = 192;

/// Entries by key, in order of use.
pub(super) struct Cache {
    entries: LruCache<Key, Entry>,
    bytes: usize,
    limit: CacheLimit,
}

impl Cache {
    pub(super) fn new(limit: CacheLimit) -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0, limit }
    }

    /// Whether it can hold anything.
    pub(super) fn is_on(&self) -> bool {
        self.limit.bytes > 0
    }

    /// Returns what is known of a text, which is now the most recently used.
    pub(super) fn get(&mut self, key: Key) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Keeps an entry, and forgets the least recently used until all fit. An entry larger than
    /// the limit is not kept.
    pub(super) fn put(&mut self, key: Key, entry: Entry) {
        let bytes = bytes_of(entry.pooled.view());
        if bytes > self.limit.bytes {
            return;
        }
        if let Some(former) = self.entries.put(key, entry) {
            self.bytes -= bytes_of(former.pooled.view());
        }
        self.bytes += bytes;
        while self.bytes > self.limit.bytes {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bytes -= bytes_of(oldest.pooled.view());
        }
    }
}

fn bytes_of(vector: ArrayView1<'_, f32>) -> usize {
    vector.len() * size_of::<f32>() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: f32) -> Entry {
        Entry { pooled: Array1::from_elem(4, value), total_tokens: 3, is_truncated: false }
    }

    fn cache_of(entries: usize) -> Cache {
        Cache::new(CacheLimit { bytes: entries * (16 + OVERHEAD_BYTES) })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = cache_of(2);
        let (a, b, c) =
            (Key::of("a", Side::Right), Key::of("b", Side::Right), Key::of("c", Side::Right));
        cache.put(a, entry(1.0));
        cache.put(b, entry(2.0));
        assert!(cache.get(a).is_some());
        cache.put(c, entry(3.0));
        assert_eq!(cache.get(b), None);
        assert_eq!(cache.get(a), Some(&entry(1.0)));
        assert_eq!(cache.get(c), Some(&entry(3.0)));
    }

    #[test]
    fn a_text_cut_on_the_other_side_is_another() {
        let mut cache = cache_of(2);
        cache.put(Key::of("a", Side::Right), entry(1.0));
        assert_eq!(cache.get(Key::of("a", Side::Left)), None);
    }

    #[test]
    fn an_entry_put_again_is_counted_once() {
        let mut cache = cache_of(2);
        let (a, b) = (Key::of("a", Side::Right), Key::of("b", Side::Right));
        for value in [1.0, 2.0, 3.0] {
            cache.put(a, entry(value));
        }
        cache.put(b, entry(4.0));
        assert_eq!(cache.get(a), Some(&entry(3.0)));
        assert_eq!(cache.get(b), Some(&entry(4.0)));
    }

    #[test]
    fn what_is_larger_than_the_limit_is_not_kept_and_drives_nothing_out() {
        let mut cache = cache_of(1);
        cache.put(Key::of("a", Side::Right), entry(1.0));
        let large = Entry { pooled: Array1::zeros(1_000), ..entry(0.0) };
        cache.put(Key::of("large", Side::Right), large);
        assert!(cache.get(Key::of("a", Side::Right)).is_some());
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let mut cache = Cache::new(CacheLimit { bytes: 0 });
        cache.put(Key::of("a", Side::Right), entry(1.0));
        assert!(!cache.is_on());
        assert_eq!(cache.get(Key::of("a", Side::Right)), None);
    }
}
