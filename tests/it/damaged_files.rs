//! Files of a bundle with damage: each is refused, or keeps what its parser guarantees. The fuzz targets
//! `rules`, `manifest` and `vocabulary` look for the same, from the same seeds.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use semblance::internals::bundle::Manifest;
use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits, Vocabulary};
use semblance_test_support::repository;
use serde_json::Value;
use tempfile::TempDir;

/// Words of the seeds of `rules`.
const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nlondon\n##s\na\n";
const LIMITS: TokenizerLimits = TokenizerLimits { max_tokens: 8, vocabulary_size: 16 };

/// Returns the seeds of a fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(repository("fuzz/seeds").join(target)).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target}");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Replaces bytes, and removes or repeats a part.
fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..4);
    let part = prop::option::of((any::<Index>(), any::<Index>(), any::<bool>()));
    (select(seeds), bytes, part).prop_map(|(mut file, bytes, part)| {
        for (at, byte) in bytes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some((first, second, is_repeated)) = part {
            let (first, second) = (first.index(file.len()), second.index(file.len()));
            let range = first.min(second)..first.max(second);
            let part = file[range.clone()].to_vec();
            if is_repeated {
                file.splice(range.end..range.end, part);
            } else {
                file.drain(range);
            }
        }
        file
    })
}

/// Values that a parser may not expect.
fn odd_value() -> impl Strategy<Value = Value> {
    let odd = [
        "null",
        "true",
        "-1",
        "7",
        "1e300",
        "\"\"",
        "\"a\"",
        "\"[CLS]\"",
        "[]",
        "{}",
        "[[]]",
        "[\"a\"]",
        "{\"type\": \"Sequence\"}",
        "18446744073709551615",
        "\"AAAAAA==\"",
        "\" \"",
    ];
    select(odd.to_vec()).prop_map(|odd| serde_json::from_str(odd).unwrap())
}

/// Replaces values of a JSON document.
fn changed(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Value> =
        seeds.iter().filter_map(|seed| serde_json::from_slice(seed).ok()).collect();
    let changes = prop::collection::vec((any::<Index>(), odd_value()), 1..4);
    (select(seeds), changes).prop_map(|(mut document, changes)| {
        for (at, value) in changes {
            let mut pointers = Vec::new();
            collect(&document, "", &mut pointers);
            *document.pointer_mut(&pointers[at.index(pointers.len())]).unwrap() = value;
        }
        document.to_string().into_bytes()
    })
}

/// Collects the pointers to all values of a document.
fn collect(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    pointers.push(pointer.to_owned());
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
            collect(item, &format!("{pointer}/{index}"), pointers);
        }),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            collect(field, &format!("{pointer}/{name}"), pointers);
        }),
        _ => {}
    }
}

fn check_rules(folder: &Path, rules: &[u8]) {
    let (path, vocabulary) = (folder.join("tokenizer.json"), folder.join("vocabulary.txt"));
    fs::write(&path, rules).unwrap();
    fs::write(&vocabulary, WORDS).unwrap();
    let Ok(tokenizer) = Tokenizer::from_files(&path, &vocabulary, LIMITS) else { return };
    let long = "a london! ".repeat(200);
    for text in ["", "a", "Londons are [SEP] a a a a a a a a", "\u{301}\u{fdfa}", &long] {
        for side in [Side::Right, Side::Left] {
            let Ok(encoding) = tokenizer.encode(text, side, Count::UpToLimit) else { continue };
            assert!(encoding.input_ids.len() <= LIMITS.max_tokens);
            let ids = encoding.input_ids.iter();
            assert!(ids.clone().all(|id| (0..LIMITS.vocabulary_size as i32).contains(id)));
            let whole = tokenizer.encode(text, side, Count::All).unwrap();
            assert_eq!(encoding.input_ids, whole.input_ids, "{}", String::from_utf8_lossy(rules));
        }
    }
}

fn check_manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    let folder = Path::new("/mnt/models/m");
    for file in manifest.files.iter() {
        assert_eq!(folder.join(&file.path).parent(), Some(folder));
        assert_eq!(file.sha256.len(), 64);
    }
    assert!(manifest.hidden_size > 0 && manifest.vocabulary_size > 0 && manifest.max_tokens > 0);
}

fn check_vocabulary(bytes: &[u8]) {
    let Ok(vocabulary) = Vocabulary::parse(bytes.to_vec()) else { return };
    for (id, word) in (0..).zip(vocabulary.words()) {
        assert_eq!((vocabulary.id(word), vocabulary.word(id)), (Some(id), Some(word)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn damaged_rules_are_refused_or_work(
        rules in prop_oneof![damaged(seeds("rules")), changed(seeds("rules"))],
    ) {
        let folder = TempDir::new().unwrap();
        check_rules(folder.path(), &rules);
    }

    #[test]
    fn a_damaged_manifest_is_refused_or_names_files_of_its_folder(
        bytes in prop_oneof![damaged(seeds("manifest")), changed(seeds("manifest"))],
    ) {
        check_manifest(&bytes);
    }

    #[test]
    fn a_damaged_vocabulary_is_refused_or_has_its_words(bytes in damaged(seeds("vocabulary"))) {
        check_vocabulary(&bytes);
    }
}

#[test]
fn seeds_are_refused_or_work() {
    let folder = TempDir::new().unwrap();
    seeds("rules").iter().for_each(|seed| check_rules(folder.path(), seed));
    seeds("manifest").iter().for_each(|seed| check_manifest(seed));
    seeds("vocabulary").iter().for_each(|seed| check_vocabulary(seed));
}
