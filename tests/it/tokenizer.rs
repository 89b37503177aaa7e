//! The tokenizer of a bundle: its ids are those of the tokenizers library, and inconsistent files are
//! rejected.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use semblance::internals::tokenizer::{
    Count, Side, Tokenizer, TokenizerError, TokenizerLimits, VocabularyError,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A limit that never truncates.
const ANY_TOKENS: usize = 1 << 20;

/// Returns the library's tokenizer for the real bundle, and the vocabulary. The rules include it.
fn library_tokenizer() -> (tokenizers::Tokenizer, Vec<String>) {
    let lines =
        fs::read_to_string(semblance_test_support::bundle().join("vocabulary.txt")).unwrap();
    let words: Vec<String> = lines.split_terminator('\n').map(str::to_owned).collect();
    let rules = fs::read(semblance_test_support::bundle().join("tokenizer.json")).unwrap();
    let mut rules: Value = serde_json::from_slice(&rules).unwrap();
    assert_eq!((&rules["truncation"], &rules["padding"]), (&Value::Null, &Value::Null));
    let ids: Map<String, Value> = words.iter().cloned().zip((0..).map(Value::from)).collect();
    rules["model"]["vocab"] = Value::Object(ids);
    (rules.to_string().parse().unwrap(), words)
}

fn library_ids(tokenizer: &tokenizers::Tokenizer, text: &str) -> Vec<i32> {
    let encoding = tokenizer.encode(text, true).unwrap();
    encoding.get_ids().iter().map(|&id| i32::try_from(id).unwrap()).collect()
}

#[test]
fn ids_of_golden_texts_match_the_library() {
    let (theirs, _) = library_tokenizer();
    let ours = semblance_test_support::tokenizer(ANY_TOKENS);
    let golden =
        fs::read(semblance_test_support::repository("tests/data/golden/all-minilm-l6-v2.json"))
            .unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let texts = golden["texts"].as_array().unwrap();
    for text in texts {
        let text = text["text"].as_str().unwrap();
        let encoding = ours.encode(text, Side::Right, Count::UpToLimit).unwrap();
        assert_eq!(encoding.input_ids, library_ids(&theirs, text), "{text:?}");
        assert_eq!(encoding.total_tokens, encoding.input_ids.len());
    }
    println!("tokenizer: {} golden texts", texts.len());
}

#[test]
fn ids_of_random_texts_match_the_library() {
    let (theirs, words) = library_tokenizer();
    let ours = semblance_test_support::tokenizer(ANY_TOKENS);
    let bare = words.iter().map(|word| word.strip_prefix("##").unwrap_or(word).to_owned());
    let part = prop_oneof![
        4 => prop::sample::select(bare.collect::<Vec<_>>()),
        2 => any::<char>().prop_map(String::from),
        2 => Just(" ".to_owned()),
        1 => prop::sample::select(words),
        1 => "[a-zA-Z\u{e0}-\u{ff}]{1,120}",
        1 => any::<String>(),
    ];
    let text = prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat());
    proptest!(ProptestConfig::with_cases(2_000), |(text in text)| {
        prop_assert_eq!(ours.encode(&text, Side::Right, Count::UpToLimit).unwrap().input_ids, library_ids(&theirs, &text));
    });
}

/// Consistent rules and vocabulary, which a test can modify.
struct Files {
    rules: Value,
    words: Vec<u8>,
    limits: TokenizerLimits,
}

impl Files {
    fn new() -> Self {
        let special = |id: u32, content: &str| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        };
        let around =
            |id: u32, content: &str| json!({"id": content, "ids": [id], "tokens": [content]});
        let rules = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [special(1, "[CLS]"), special(2, "[SEP]")],
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "lowercase": true,
                           "handle_chinese_chars": true, "strip_accents": null},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                           {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [],
                "special_tokens": {"[CLS]": around(1, "[CLS]"), "[SEP]": around(2, "[SEP]")}
            },
            "decoder": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 10, "words": 5}
        });
        let words = b"[UNK]\n[CLS]\n[SEP]\nsea\n##son\n".to_vec();
        Self { rules, words, limits: TokenizerLimits { max_tokens: 8, vocabulary_size: 5 } }
    }

    /// Returns the files with another vocabulary.
    fn with_words(words: &[u8]) -> Self {
        Self { words: words.to_vec(), ..Self::new() }
    }

    /// Returns the files with another value in the rules.
    fn with_rule(pointer: &str, value: Value) -> Self {
        let mut files = Self::new();
        *files.rules.pointer_mut(pointer).unwrap() = value;
        files
    }

    fn load(&self) -> Result<Tokenizer, TokenizerError> {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        fs::write(path("tokenizer.json"), self.rules.to_string()).unwrap();
        fs::write(path("vocabulary.txt"), &self.words).unwrap();
        Tokenizer::from_files(&path("tokenizer.json"), &path("vocabulary.txt"), self.limits)
    }

    fn error(&self) -> TokenizerError {
        self.load().err().unwrap()
    }

    /// Returns the error of an invalid vocabulary.
    fn vocabulary_error(&self) -> VocabularyError {
        match self.error() {
            TokenizerError::Vocabulary { path, source } if path.ends_with("vocabulary.txt") => {
                source
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn loads_consistent_files() {
    let encoding = Files::new()
        .load()
        .unwrap()
        .encode("Season sea ship [SEP]", Side::Right, Count::UpToLimit)
        .unwrap();
    assert_eq!(encoding.input_ids, [1, 3, 4, 3, 0, 2, 2]);
}

#[test]
fn an_error_names_a_missing_file() {
    let missing = semblance_test_support::repository("tests/none.json");
    let limits = TokenizerLimits { max_tokens: 8, vocabulary_size: 5 };
    match Tokenizer::from_files(&missing, &missing, limits).err().unwrap() {
        TokenizerError::Read { path, .. } => assert!(path.ends_with("tests/none.json")),
        other => panic!("{other}"),
    }
}

#[test]
fn an_error_of_the_rules_names_the_field() {
    let cases = [
        ("/version", json!("2.0"), "version"),
        ("/added_tokens", json!({}), "added_tokens"),
        ("/pre_tokenizer", json!({"type": "Words"}), "pre_tokenizer"),
        ("/model/type", json!("WordLevel"), "model.type"),
        ("/model/words", json!("five"), "model"),
    ];
    for (pointer, value, expected) in cases {
        match Files::with_rule(pointer, value).error() {
            TokenizerError::Rules { field, .. } => assert_eq!(field, expected),
            other => panic!("{pointer}: {other}"),
        }
    }
}

#[test]
fn rejects_a_tokenizer_json_of_the_library() {
    let mut files = Files::new();
    let model = files.rules["model"].as_object_mut().unwrap();
    model.remove("words");
    model.insert("vocab".to_owned(), json!({"[UNK]": 0}));
    match files.error() {
        TokenizerError::Rules { source, .. } => assert!(source.to_string().contains("`words`")),
        other => panic!("{other}"),
    }
}

#[test]
fn the_library_rejects_the_rules_of_a_bundle() {
    assert!(Files::new().rules.to_string().parse::<tokenizers::Tokenizer>().is_err());
}

#[test]
fn rejects_a_duplicate_entry() {
    let error = Files::with_words(b"[UNK]\n[CLS]\n[SEP]\nsea\nsea\n").vocabulary_error();
    assert_eq!(error, VocabularyError::Duplicate { line: 5, first: 4 });
}

#[test]
fn rejects_an_empty_entry() {
    let error = Files::with_words(b"[UNK]\n[CLS]\n[SEP]\n\nsea\n").vocabulary_error();
    assert_eq!(error, VocabularyError::Empty { line: 4 });
}

#[test]
fn rejects_a_vocabulary_that_is_not_utf8() {
    let error = Files::with_words(b"[UNK]\n[CLS]\n[SEP]\nse\xff\nsea\n").vocabulary_error();
    assert_eq!(error, VocabularyError::NotUtf8 { line: 4 });
}

#[test]
fn rejects_a_last_line_without_a_line_feed() {
    let error = Files::with_words(b"[UNK]\n[CLS]\n[SEP]\nsea\n##son").vocabulary_error();
    assert_eq!(error, VocabularyError::Unfinished { line: 5 });
}

#[test]
fn a_wrong_vocabulary_size_reports_both_sizes() {
    match Files::with_words(b"[UNK]\n[CLS]\n[SEP]\nsea\n").error() {
        TokenizerError::WordCount { found_words, expected_words, .. } => {
            assert_eq!((found_words, expected_words), (4, 5));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn rejects_a_special_token_outside_the_vocabulary() {
    let error = Files::with_words(b"[UNK]\n[CLS]\nsep\nsea\n##son\n").error();
    match &error {
        // The library assigns the next id to a token outside the vocabulary.
        TokenizerError::TokenId { token, id, found_id, .. } => {
            assert_eq!((token.as_str(), *id, *found_id), ("[SEP]", 2, Some(5)));
        }
        other => panic!("{other}"),
    }
    assert!(
        error
            .to_string()
            .contains("declares the id 2 for the token \"[SEP]\"; its id in the vocabulary is 5"),
        "{error}"
    );
}

#[test]
fn rejects_a_special_token_with_another_id() {
    for id in [3, 99] {
        let pointer = "/post_processor/special_tokens/[SEP]/ids/0";
        match Files::with_rule(pointer, json!(id)).error() {
            TokenizerError::TokenId { token, id: found, found_id, .. } => {
                assert_eq!((token.as_str(), found, found_id), ("[SEP]", id, Some(2)));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn rejects_an_unknown_token_outside_the_vocabulary() {
    match Files::with_rule("/model/unk_token", json!("<unk>")).error() {
        TokenizerError::NoUnknownToken { token, .. } => assert_eq!(token, "<unk>"),
        other => panic!("{other}"),
    }
}

#[test]
fn rejects_an_id_beyond_the_embedding_table() {
    let mut fewer_rows = Files::new();
    fewer_rows.limits.vocabulary_size = 4;
    let mut added = Files::new();
    let mut token = added.rules["added_tokens"][0].clone();
    (token["id"], token["content"]) = (json!(5), json!("[NEW]"));
    added.rules["added_tokens"].as_array_mut().unwrap().push(token);
    for (files, expected) in [(&fewer_rows, (4, 4)), (&added, (5, 5))] {
        match files.error() {
            TokenizerError::IdTooLarge { id, vocabulary_size, .. } => {
                assert_eq!((id, vocabulary_size), expected);
            }
            other => panic!("{other}"),
        }
    }
    added.limits.vocabulary_size = 6;
    assert_eq!(
        added.load().unwrap().encode("sea[NEW]", Side::Right, Count::UpToLimit).unwrap().input_ids,
        [1, 3, 5, 2]
    );
}

#[test]
fn rejects_a_limit_without_space_for_text() {
    let mut files = Files::new();
    files.limits.max_tokens = 2;
    match files.error() {
        TokenizerError::NoRoom { max_tokens, special_tokens } => {
            assert_eq!((max_tokens, special_tokens), (2, 2));
        }
        other => panic!("{other}"),
    }
}
