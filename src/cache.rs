//! A cache of pooled vectors, bounded in bytes. It evicts the least recently used entry first.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use lru::LruCache;
use ndarray::{Array1, ArrayView1};
use sha2::{Digest, Sha256};

use crate::tokenizer::{Reading, Side};

/// The key of the digests of this process: 32 bytes from the random source of the operating system, which
/// seeds the hash tables of the standard library.
static SECRET: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut secret = [0; 32];
    for (index, part) in secret.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&RandomState::new().hash_one(index).to_le_bytes());
    }
    secret
});

/// The keyed digest of a text. The cache does not store the text itself.
///
/// The key of the digest is random for each process, so digests of guessed texts, or those of another
/// process, match nothing.
///
/// A cache belongs to one encoder, hence to one bundle, so the key does not include the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Returns the digest of a text, of the side on which it is truncated, and of the limit of its tokens.
    pub(super) fn new(text: &str, reading: Reading) -> Self {
        let side = match reading.side {
            Side::Right => 0,
            Side::Left => 1,
        };
        let limit = reading.text_tokens.unwrap_or(usize::MAX).to_le_bytes();
        let keyed = Sha256::new().chain_update(*SECRET).chain_update([side]).chain_update(limit);
        Self(keyed.chain_update(text.as_bytes()).finalize().into())
    }
}

/// The cached result of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Its pooled vector, `[dim]`, f32, not normalized.
    pub(super) pooled: Array1<f32>,
    /// Its number of tokens before truncation, special tokens included; at least this number if they were
    /// not all counted.
    pub(super) total_tokens: usize,
    /// Whether all its tokens were counted.
    pub(super) is_counted: bool,
    /// Whether it was truncated.
    pub(super) is_truncated: bool,
}

/// The maximum size of a cache; 0 disables it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimit {
    /// Size in bytes of the vectors, the keys and the data structures of the cache.
    pub bytes: usize,
}

impl Default for CacheLimit {
    /// 16 MiB: about 9,500 vectors of 384 dimensions.
    fn default() -> Self {
        Self { bytes: 16 << 20 }
    }
}

/// Bytes of an entry excluding its vector: key, counts, two list links, a hash map slot at its usual
/// load factor, and allocator overhead.
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

    /// Whether the cache is enabled.
    pub(super) fn is_enabled(&self) -> bool {
        self.limit.bytes > 0
    }

    /// Returns the entry of a key and marks it as the most recently used.
    pub(super) fn get(&mut self, key: Key) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Adds an entry and evicts the least recently used entries until the limit holds. An entry
    /// larger than the limit is not added.
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
        let pooled = Array1::from_elem(4, value);
        Entry { pooled, total_tokens: 3, is_counted: true, is_truncated: false }
    }

    fn cache_of(entries: usize) -> Cache {
        Cache::new(CacheLimit { bytes: entries * (16 + OVERHEAD_BYTES) })
    }

    #[test]
    fn evicts_the_least_recently_used_entry() {
        let mut cache = cache_of(2);
        let (a, b, c) = (
            Key::new("a", Reading::DEFAULT),
            Key::new("b", Reading::DEFAULT),
            Key::new("c", Reading::DEFAULT),
        );
        cache.put(a, entry(1.0));
        cache.put(b, entry(2.0));
        assert!(cache.get(a).is_some());
        cache.put(c, entry(3.0));
        assert_eq!(cache.get(b), None);
        assert_eq!(cache.get(a), Some(&entry(1.0)));
        assert_eq!(cache.get(c), Some(&entry(3.0)));
    }

    #[test]
    fn the_key_depends_on_the_truncation() {
        let mut cache = cache_of(2);
        cache.put(Key::new("a", Reading::DEFAULT), entry(1.0));
        let left = Reading { side: Side::Left, ..Reading::DEFAULT };
        assert_eq!(cache.get(Key::new("a", left)), None);
        let short = Reading { text_tokens: Some(1), ..Reading::DEFAULT };
        assert_eq!(cache.get(Key::new("a", short)), None);
    }

    #[test]
    fn a_key_is_not_the_digest_of_the_text() {
        let (first, second) = (Key::new("a", Reading::DEFAULT), Key::new("a", Reading::DEFAULT));
        assert_eq!(first, second);
        assert_ne!(*SECRET, [0; 32]);
        for guess in [&b"a"[..], b"\0a", b"a\0"] {
            let digest: [u8; 32] = Sha256::digest(guess).into();
            assert_ne!(first.0, digest);
        }
    }

    #[test]
    fn a_replaced_entry_counts_once() {
        let mut cache = cache_of(2);
        let (a, b) = (Key::new("a", Reading::DEFAULT), Key::new("b", Reading::DEFAULT));
        for value in [1.0, 2.0, 3.0] {
            cache.put(a, entry(value));
        }
        cache.put(b, entry(4.0));
        assert_eq!(cache.get(a), Some(&entry(3.0)));
        assert_eq!(cache.get(b), Some(&entry(4.0)));
    }

    #[test]
    fn an_entry_above_the_limit_is_not_added() {
        let mut cache = cache_of(1);
        cache.put(Key::new("a", Reading::DEFAULT), entry(1.0));
        let large = Entry { pooled: Array1::zeros(1_000), ..entry(0.0) };
        cache.put(Key::new("large", Reading::DEFAULT), large);
        assert!(cache.get(Key::new("a", Reading::DEFAULT)).is_some());
    }

    #[test]
    fn a_limit_of_zero_disables_the_cache() {
        let mut cache = Cache::new(CacheLimit { bytes: 0 });
        cache.put(Key::new("a", Reading::DEFAULT), entry(1.0));
        assert!(!cache.is_enabled());
        assert_eq!(cache.get(Key::new("a", Reading::DEFAULT)), None);
    }
}
