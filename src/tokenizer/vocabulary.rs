//! The vocabulary of a tokenizer, one entry per line. It is untrusted until it is validated.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The vocabulary of a tokenizer. The id of an entry is its position.
///
/// The entries stay in one buffer, so a vocabulary needs two allocations and one hash table of ids.
pub struct Vocabulary {
    /// The entries, each followed by a line feed.
    lines: String,
    /// The end of each entry in `lines`, `[entries]`, in bytes.
    ends: Vec<u32>,
    /// The ids, by the hash of their entries.
    ids: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// Why a vocabulary is invalid. Line numbers start at 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The file is not UTF-8.
    #[error("line {line}: not UTF-8")]
    NotUtf8 {
        /// The line of the first invalid byte.
        line: usize,
    },
    /// The last line has no line feed, so the file may be truncated.
    #[error("line {line}: no line feed at the end of the file")]
    Unfinished {
        /// The last line.
        line: usize,
    },
    /// A line is empty.
    #[error("line {line}: empty")]
    Empty {
        /// The line.
        line: usize,
    },
    /// An entry occurs twice, so its id is ambiguous.
    #[error("line {line}: duplicate of line {first}")]
    Duplicate {
        /// The line.
        line: usize,
        /// The line of the first occurrence.
        first: usize,
    },
    /// The file is too large for 32-bit offsets.
    #[error("the file has {bytes} bytes; the limit is {}", u32::MAX)]
    TooLarge {
        /// Size of the file in bytes.
        bytes: usize,
    },
}

impl Vocabulary {
    /// Parses the bytes of a `vocabulary.txt`: UTF-8, one entry per line, each line terminated by a
    /// line feed. The entry on line `n` has the id `n - 1`.
    ///
    /// # Errors
    /// - [`VocabularyError`] if the bytes do not have this format.
    ///
    /// # Examples
    /// ```
    /// use semblance::internals::tokenizer::Vocabulary;
    ///
    /// let vocabulary = Vocabulary::parse(b"[UNK]\nsea\n##son\n".to_vec())?;
    /// assert_eq!(vocabulary.id("##son"), Some(2));
    /// assert_eq!(vocabulary.id("son"), None);
    /// # Ok::<(), semblance::internals::tokenizer::VocabularyError>(())
    /// ```
    pub fn parse(bytes: Vec<u8>) -> Result<Self, VocabularyError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(VocabularyError::TooLarge { bytes: bytes.len() });
        }
        let lines = String::from_utf8(bytes).map_err(|error| VocabularyError::NotUtf8 {
            line: line_at(error.as_bytes(), error.utf8_error().valid_up_to()),
        })?;
        if !lines.is_empty() && !lines.ends_with('\n') {
            return Err(VocabularyError::Unfinished {
                line: line_at(lines.as_bytes(), lines.len()),
            });
        }
        let ends =
            lines.bytes().zip(0_u32..).filter_map(|(byte, at)| (byte == b'\n').then_some(at));
        let ends: Vec<u32> = ends.collect();
        let ids = HashTable::with_capacity(ends.len());
        let mut vocabulary = Self { lines, ends, ids, hasher: DefaultHashBuilder::default() };
        for id in (0_u32..).take(vocabulary.len()) {
            vocabulary.insert(id)?;
        }
        Ok(vocabulary)
    }

    /// Returns the id of an entry.
    #[must_use]
    pub fn id(&self, word: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(word);
        self.ids.find(hash, |&id| self.line(id) == word).copied()
    }

    /// Returns the entry with an id.
    #[must_use]
    pub fn word(&self, id: u32) -> Option<&str> {
        ((id as usize) < self.len()).then(|| self.line(id))
    }

    /// Returns the entries in the order of their ids.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.lines.split_terminator('\n')
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the vocabulary has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn insert(&mut self, id: u32) -> Result<(), VocabularyError> {
        let line = id as usize + 1;
        let word = self.line(id);
        if word.is_empty() {
            return Err(VocabularyError::Empty { line });
        }
        let hash = self.hasher.hash_one(word);
        if let Some(&first) = self.ids.find(hash, |&other| self.line(other) == word) {
            return Err(VocabularyError::Duplicate { line, first: first as usize + 1 });
        }
        // The table has capacity for every line, so it never rehashes.
        let Self { lines, ends, ids, hasher } = self;
        ids.insert_unique(hash, id, |&id| hasher.hash_one(line_of(lines, ends, id)));
        Ok(())
    }

    fn line(&self, id: u32) -> &str {
        line_of(&self.lines, &self.ends, id)
    }
}

/// Returns the entry with an id, which must be less than the number of entries.
fn line_of<'a>(lines: &'a str, ends: &[u32], id: u32) -> &'a str {
    let id = id as usize;
    let start = id.checked_sub(1).map_or(0, |before| ends[before] as usize + 1);
    &lines[start..ends[id] as usize]
}

/// Returns the number of the line that contains the byte at offset `at`.
fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(bytes: &[u8]) -> VocabularyError {
        Vocabulary::parse(bytes.to_vec()).err().unwrap()
    }

    #[test]
    fn the_id_of_an_entry_is_its_line() {
        let vocabulary = Vocabulary::parse("[PAD]\ncafé\r\n##s\n日\n".into()).unwrap();
        for (id, word) in (0..).zip(["[PAD]", "café\r", "##s", "日"]) {
            assert_eq!(vocabulary.id(word), Some(id));
            assert_eq!(vocabulary.word(id), Some(word));
        }
        assert_eq!(vocabulary.len(), 4);
        assert_eq!(
            (vocabulary.id("caf"), vocabulary.id(""), vocabulary.word(4)),
            (None, None, None)
        );
    }

    #[test]
    fn an_empty_file_is_an_empty_vocabulary() {
        assert!(Vocabulary::parse(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn rejects_invalid_utf8_with_its_line() {
        assert_eq!(error_of(b"a\nb\n\xff\n"), VocabularyError::NotUtf8 { line: 3 });
    }

    #[test]
    fn rejects_a_last_line_without_a_line_feed() {
        assert_eq!(error_of(b"a\nb"), VocabularyError::Unfinished { line: 2 });
    }

    #[test]
    fn rejects_an_empty_line_with_its_number() {
        assert_eq!(error_of(b"a\n\nb\n"), VocabularyError::Empty { line: 2 });
    }

    #[test]
    fn rejects_a_duplicate_with_both_lines() {
        assert_eq!(error_of(b"a\nb\na\n"), VocabularyError::Duplicate { line: 3, first: 1 });
    }
}
