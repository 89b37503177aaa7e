//! The words of a tokenizer, one a line: hostile until parsed.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The words of a tokenizer; a word's id is its place.
///
/// The words stay in the bytes they came in: 30,000 words take two allocations and a table of ids.
pub struct Vocabulary {
    /// The words, each with a line feed after it.
    lines: String,
    /// Where each word ends in `lines`, `[words]`.
    ends: Vec<u32>,
    /// The ids, by the hash of their words.
    ids: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// Why a vocabulary is not understood. Lines count from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// A byte is not part of any UTF-8 text.
    #[error("line {line}: not UTF-8")]
    NotUtf8 {
        /// Where the first such byte is.
        line: usize,
    },
    /// The last line does not end, so that it may be half a word.
    #[error("line {line}: no line feed at the end of the file")]
    Unfinished {
        /// The last line.
        line: usize,
    },
    /// A line without a word.
    #[error("line {line}: empty")]
    Empty {
        /// The line.
        line: usize,
    },
    /// A word that stands there twice: which id is meant cannot be known.
    #[error("line {line}: the same word as line {first}")]
    Duplicate {
        /// The line.
        line: usize,
        /// Where the word stands first.
        first: usize,
    },
    /// More bytes than an offset of 32 bits reaches.
    #[error("{bytes} bytes, but at most {} are read", u32::MAX)]
    TooLarge {
        /// The size.
        bytes: usize,
    },
}

impl Vocabulary {
    /// Reads the bytes of a `vocabulary.txt`: UTF-8, one word a line, each line ended by a line
    /// feed; the word of line `n` has the id `n - 1`.
    ///
    /// # Errors
    /// - [`VocabularyError`], one variant for each way to be wrong.
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

    /// The id of a word.
    #[must_use]
    pub fn id(&self, word: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(word);
        self.ids.find(hash, |&id| self.line(id) == word).copied()
    }

    /// The word of an id.
    #[must_use]
    pub fn word(&self, id: u32) -> Option<&str> {
        ((id as usize) < self.len()).then(|| self.line(id))
    }

    /// The words in the order of their ids.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.lines.split_terminator('\n')
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no word.
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
        // The table has room for every line, so nothing is ever hashed anew.
        let Self { lines, ends, ids, hasher } = self;
        ids.insert_unique(hash, id, |&id| hasher.hash_one(line_of(lines, ends, id)));
        Ok(())
    }

    fn line(&self, id: u32) -> &str {
        line_of(&self.lines, &self.ends, id)
    }
}

/// The word of an id that is below the number of words.
fn line_of<'a>(lines: &'a str, ends: &[u32], id: u32) -> &'a str {
    let id = id as usize;
    let start = id.checked_sub(1).map_or(0, |before| ends[before] as usize + 1);
    &lines[start..ends[id] as usize]
}

/// The number of the line that the byte `at` is in.
fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> VocabularyError {
        Vocabulary::parse(bytes.to_vec()).err().unwrap()
    }

    #[test]
    fn a_word_has_the_id_of_its_line() {
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
    fn no_bytes_are_no_words() {
        assert!(Vocabulary::parse(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_line() {
        assert_eq!(refused(b"a\nb\n\xff\n"), VocabularyError::NotUtf8 { line: 3 });
    }

    #[test]
    fn a_last_line_without_an_end_is_refused() {
        assert_eq!(refused(b"a\nb"), VocabularyError::Unfinished { line: 2 });
    }

    #[test]
    fn an_empty_line_is_refused_with_its_number() {
        assert_eq!(refused(b"a\n\nb\n"), VocabularyError::Empty { line: 2 });
    }

    #[test]
    fn a_word_that_stands_there_twice_is_refused_with_both_lines() {
        assert_eq!(refused(b"a\nb\na\n"), VocabularyError::Duplicate { line: 3, first: 1 });
    }
}
