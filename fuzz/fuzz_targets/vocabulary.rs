//! A vocabulary: any bytes are refused, or every line is a word that has its place as id.
#![no_main]

use libfuzzer_sys::fuzz_target;
use semblance::internals::tokenizer::Vocabulary;

fuzz_target!(|bytes: &[u8]| {
    let Ok(vocabulary) = Vocabulary::parse(bytes.to_vec()) else { return };
    let mut lines = Vec::new();
    for (id, word) in (0..).zip(vocabulary.words()) {
        assert!(!word.is_empty());
        assert_eq!(vocabulary.id(word), Some(id));
        assert_eq!(vocabulary.word(id), Some(word));
        lines.extend_from_slice(word.as_bytes());
        lines.push(b'\n');
    }
    assert_eq!(lines, bytes);
    assert_eq!(vocabulary.words().count(), vocabulary.len());
    assert_eq!(vocabulary.id(""), None);
});
