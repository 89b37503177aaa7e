//! The rules of a tokenizer with a small vocabulary: refused, or the tokenizer encodes a text within its
//! limits.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits};

const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nlondon\n##s\na\n";
const LIMITS: TokenizerLimits = TokenizerLimits { max_tokens: 8, vocabulary_size: 16 };

fuzz_target!(|rules: &[u8]| {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("vocabulary.txt"), WORDS).unwrap();
        folder
    });
    let path = folder.join("tokenizer.json");
    std::fs::write(&path, rules).unwrap();
    let Ok(tokenizer) = Tokenizer::from_files(&path, &folder.join("vocabulary.txt"), LIMITS) else {
        return;
    };
    for text in ["", "a", "Londons are [SEP] a a a a a a a a", "\u{301}\u{fdfa}"] {
        let Ok(encoding) = tokenizer.encode(text, Side::Right, Count::UpToLimit) else { continue };
        assert!(encoding.input_ids.len() <= LIMITS.max_tokens);
        for id in encoding.input_ids {
            assert!((0..LIMITS.vocabulary_size as i32).contains(&id));
        }
    }
});
