//! Small Unigram and BPE tokenizers: random vocabularies against the tokenizers library, and files that
//! are damaged or inconsistent.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use semblance::internals::tokenizer::{
    Count, PiecesError, Side, Tokenizer, TokenizerError, TokenizerLimits,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The content of a `vocabulary.bin`, before it is encoded.
#[derive(Clone, Debug, Default)]
struct Content {
    pieces: Vec<String>,
    scores: Option<Vec<f64>>,
    /// Ids of the left, the right and the merged piece.
    merges: Vec<[u32; 3]>,
}

impl Content {
    /// Returns the bytes of the file, as the builder writes them.
    fn bytes(&self) -> Vec<u8> {
        let hash = |piece: &String| {
            piece.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let pieces: Vec<u64> = self.pieces.iter().map(hash).collect();
        let pieces = pieces.into_iter().map(|hash| (hash ^ (hash >> 32), hash >> 56)).collect();
        let merges = self.merges.iter().map(|&[left, right, _]| {
            let pair = (u64::from(left) << 32) | u64::from(right);
            let hash = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (hash >> 32, hash >> 56)
        });
        let (slots, merge_slots) = (table(pieces), table(merges.collect()));
        let text = self.pieces.concat();
        let least = self.scores.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let longest = self.pieces.iter().map(String::len).max().unwrap_or(0);
        let mut bytes = b"SEMPIECE".to_vec();
        let mut number = |value: usize| bytes.extend((value as u32).to_le_bytes());
        number(1);
        number(self.pieces.len());
        number(slots.len());
        number(self.merges.len());
        number(merge_slots.len());
        number(longest);
        number(text.len());
        number(0);
        number(usize::from(self.scores.is_some()));
        number(0);
        bytes.extend(least.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.scores.iter().flatten().flat_map(|score| score.to_le_bytes()));
        let mut end = 0;
        for piece in &self.pieces {
            end += piece.len() as u32;
            bytes.extend(end.to_le_bytes());
        }
        bytes.extend(slots.iter().flat_map(|slot| slot.to_le_bytes()));
        bytes.extend(self.merges.iter().flatten().flat_map(|id| id.to_le_bytes()));
        bytes.extend(merge_slots.iter().flat_map(|slot| slot.to_le_bytes()));
        bytes.extend(text.bytes());
        bytes
    }
}

/// Returns a hash table for entries with these first slots and tags.
fn table(entries: Vec<(u64, u64)>) -> Vec<u32> {
    let size = (2 * entries.len().max(1)).next_power_of_two();
    let mut slots = vec![0; size];
    for (index, (first, tag)) in entries.into_iter().enumerate() {
        let mut slot = first as usize % size;
        while slots[slot] != 0 {
            slot = (slot + 1) % size;
        }
        slots[slot] = (tag as u32) << 24 | (index as u32 + 1);
    }
    slots
}

/// Rules around a model. The text is not normalized or split.
fn rules(model: &Value) -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": model
    })
}

fn load(model: &Value, vocabulary: &[u8]) -> Result<Tokenizer, TokenizerError> {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("tokenizer.json"), rules(model).to_string()).unwrap();
    fs::write(path("vocabulary.bin"), vocabulary).unwrap();
    let limits = TokenizerLimits { max_tokens: 1 << 20, vocabulary_size: 1 << 20 };
    Tokenizer::from_files(&path("tokenizer.json"), &path("vocabulary.bin"), limits)
}

/// The ids of a text and their positions, or `None` if the tokenizer fails on it.
type Tokens = Option<Vec<(u32, usize, usize)>>;

fn ours(tokenizer: &Tokenizer, text: &str) -> Tokens {
    let ids = tokenizer.encode(text, Side::Right, Count::UpToLimit).ok()?.input_ids;
    let tokens = tokenizer.tokens(text, true, usize::MAX).ok()??;
    assert_eq!(ids, tokens.iter().map(|token| token.id as i32).collect::<Vec<_>>());
    let place = |at: std::ops::Range<usize>| (at.start, at.end);
    Some(
        tokens
            .into_iter()
            .map(|token| {
                let (start, end) = token.characters.map_or((0, 0), place);
                (token.id, start, end)
            })
            .collect(),
    )
}

/// A token of the library can lie outside of the text: bytes of a suffix count. It has no position then.
fn theirs(tokenizer: &tokenizers::Tokenizer, text: &str) -> Tokens {
    let encoding = tokenizer.encode_char_offsets(text, true).ok()?;
    let rows = encoding.get_ids().iter().zip(encoding.get_offsets());
    let length = text.chars().count();
    let place = |&(start, end): &(usize, usize)| if end > length { (0, 0) } else { (start, end) };
    let rows = rows.map(|(&id, at)| (id, place(at)));
    Some(rows.map(|(id, (start, end))| (id, start, end)).collect())
}

/// The pieces of single bytes.
fn byte_pieces() -> impl Iterator<Item = String> {
    (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"))
}

/// Up to 40 different pieces of few characters, and `<unk>`.
fn some_pieces() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[abcé日]{1,5}", 1..40).prop_map(|pieces: BTreeSet<String>| {
        std::iter::once("<unk>".to_owned()).chain(pieces).collect()
    })
}

/// Texts of characters of which some are in no piece.
fn some_texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[abcéd日本]{0,20}", 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // Few different scores, so that many splits are equally good.
    #[test]
    fn unigram_with_a_random_vocabulary_is_that_of_the_library(
        pieces in some_pieces(),
        scores in prop::collection::vec(-4_i32..3, 400),
        has_unknown: bool,
        byte_fallback: bool,
        has_bytes: bool,
        texts in some_texts(),
    ) {
        let pieces: Vec<String> =
            pieces.into_iter().chain(byte_pieces().filter(|_| has_bytes)).collect();
        let scores: Vec<f64> =
            pieces.iter().zip(&scores).map(|(_, &score)| f64::from(score) / 2.0).collect();
        let entries: Vec<Value> =
            pieces.iter().zip(&scores).map(|(piece, score)| json!([piece, score])).collect();
        let mut model = json!({
            "type": "Unigram", "unk_id": has_unknown.then_some(0), "byte_fallback": byte_fallback,
            "vocab": entries
        });
        let library: tokenizers::Tokenizer = rules(&model).to_string().parse().unwrap();
        model.as_object_mut().unwrap().remove("vocab");
        model["words"] = json!(pieces.len());
        let content = Content { pieces, scores: Some(scores), merges: Vec::new() };
        let bundle = load(&model, &content.bytes()).unwrap();
        for text in texts {
            prop_assert_eq!(ours(&bundle, &text), theirs(&library, &text), "{:?}", text);
        }
    }

    #[test]
    fn bpe_with_random_merges_is_that_of_the_library(
        pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
        has_unknown: bool,
        fuse_unk: bool,
        byte_fallback: bool,
        has_bytes: bool,
        ignore_merges: bool,
        prefix in prop::option::of(prop::sample::select(vec!["", "##"])),
        suffix in prop::option::of(prop::sample::select(vec!["", "</w>"])),
        texts in some_texts(),
    ) {
        let (before, after) = (prefix.unwrap_or(""), suffix.unwrap_or(""));
        let mut pieces = vec!["<unk>".to_owned()];
        for char in ["a", "b", "c", "é", "日"] {
            for piece in [char.to_owned(), format!("{before}{char}"), format!("{char}{after}"), format!("{before}{char}{after}")] {
                if !pieces.contains(&piece) {
                    pieces.push(piece);
                }
            }
        }
        if has_bytes {
            pieces.extend(byte_pieces());
        }
        let mut merges: Vec<[u32; 3]> = Vec::new();
        for (left, right) in pairs {
            let (left, right) = (left.index(pieces.len()), right.index(pieces.len()));
            // The length of the prefix is removed, so the piece must be as long.
            let Some(rest) = pieces[right].get(before.len()..) else { continue };
            let merged = format!("{}{rest}", pieces[left]);
            if merged.len() > 30 || merges.iter().any(|&[l, r, _]| [l, r] == [left as u32, right as u32]) {
                continue;
            }
            let known = pieces.iter().position(|piece| *piece == merged);
            let id = known.unwrap_or(pieces.len());
            if known.is_none() {
                pieces.push(merged);
            }
            merges.push([left as u32, right as u32, id as u32]);
        }
        let name = |id: u32| pieces[id as usize].clone();
        let vocabulary: serde_json::Map<String, Value> =
            pieces.iter().cloned().zip((0..).map(Value::from)).collect();
        let named: Vec<Value> =
            merges.iter().map(|&[left, right, _]| json!([name(left), name(right)])).collect();
        let mut model = json!({
            "type": "BPE", "dropout": null, "unk_token": has_unknown.then_some("<unk>"),
            "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix, "fuse_unk": fuse_unk,
            "byte_fallback": byte_fallback, "ignore_merges": ignore_merges,
            "vocab": vocabulary, "merges": named
        });
        let library: tokenizers::Tokenizer = rules(&model).to_string().parse().unwrap();
        model.as_object_mut().unwrap().remove("vocab");
        model["words"] = json!(pieces.len());
        model["merges"] = json!(merges.len());
        let bundle = load(&model, &Content { pieces, scores: None, merges }.bytes()).unwrap();
        for text in texts {
            prop_assert_eq!(ours(&bundle, &text), theirs(&library, &text), "{:?}", text);
        }
    }

    // Wrong bytes may give other tokens or an error, but nothing else.
    #[test]
    fn a_damaged_vocabulary_does_not_crash(
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in prop::option::of(any::<prop::sample::Index>()),
        is_bpe: bool,
        texts in some_texts(),
    ) {
        let (model, content) = if is_bpe { small_bpe() } else { small_unigram() };
        let mut bytes = content.bytes();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        if let Ok(tokenizer) = load(&model, &bytes) {
            for text in texts {
                let _ = tokenizer.encode(&text, Side::Right, Count::UpToLimit);
                let _ = tokenizer.tokens(&text, true, usize::MAX);
            }
        }
    }
}

fn small_unigram() -> (Value, Content) {
    let pieces = ["<unk>", "a", "b", "ab", "é"].map(str::to_owned).to_vec();
    let content =
        Content { pieces, scores: Some(vec![0.0, -1.0, -1.5, -2.0, -3.0]), merges: vec![] };
    (json!({"type": "Unigram", "unk_id": 0, "words": 5}), content)
}

fn small_bpe() -> (Value, Content) {
    let pieces = ["<unk>", "a", "b", "ab", "c", "abc"].map(str::to_owned).to_vec();
    let content = Content { pieces, scores: None, merges: vec![[1, 2, 3], [3, 4, 5]] };
    (json!({"type": "BPE", "unk_token": "<unk>", "words": 6, "merges": 2}), content)
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<i32> {
    tokenizer.encode(text, Side::Right, Count::UpToLimit).unwrap().input_ids
}

#[test]
fn loads_consistent_files() {
    let (model, content) = small_unigram();
    assert_eq!(ids(&load(&model, &content.bytes()).unwrap(), "abéxyb"), [3, 4, 0, 2]);
    let (model, content) = small_bpe();
    assert_eq!(ids(&load(&model, &content.bytes()).unwrap(), "abcab"), [5, 3]);
}

fn pieces_error(model: &Value, bytes: &[u8]) -> PiecesError {
    match load(model, bytes).err().unwrap() {
        TokenizerError::Pieces { path, source } => {
            assert!(path.ends_with("vocabulary.bin"));
            source
        }
        other => panic!("{other}"),
    }
}

#[test]
fn rejects_a_file_of_another_kind_or_version() {
    let (model, content) = small_unigram();
    let bytes = content.bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        pieces_error(&model, &bytes)
    };
    assert!(matches!(pieces_error(&model, b""), PiecesError::Header));
    assert!(matches!(pieces_error(&model, b"[UNK]\na\n"), PiecesError::Header));
    assert!(matches!(with(0, b'X'), PiecesError::Header));
    assert!(matches!(with(8, 2), PiecesError::Header));
}

#[test]
fn rejects_a_header_that_contradicts_the_file() {
    let (model, content) = small_bpe();
    let bytes = content.bytes();
    let with = |at: usize, value: u32| {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        pieces_error(&model, &bytes)
    };
    for (at, value, expected) in [
        (12, u32::MAX, "number of pieces"),
        (16, 15, "number of slots"),
        (16, 4, "number of slots"),
        (20, 1 << 24, "number of merges"),
        (24, 0, "number of merge slots"),
        (40, 2, "scores"),
    ] {
        match with(at, value) {
            PiecesError::Count { field, found, .. } => {
                assert_eq!((field, found), (expected, u64::from(value)));
            }
            other => panic!("{expected}: {other}"),
        }
    }
    let length = bytes.len() as u64;
    for (at, value) in [(12, 5), (16, 32), (24, 8), (32, 1), (36, u32::MAX)] {
        match with(at, value) {
            PiecesError::Size { found, .. } => assert_eq!(found, length),
            other => panic!("{at}: {other}"),
        }
    }
    let ends = 64;
    assert!(matches!(with(ends + 4, 5), PiecesError::End { id: 1 }));
    assert!(matches!(with(ends + 8, 1000), PiecesError::End { id: 2 }));
}

#[test]
fn a_vocabulary_of_another_model_is_rejected_with_both_counts() {
    let (unigram, scored) = small_unigram();
    let (bpe, merged) = small_bpe();
    let with = |model: &Value, field: &str, value: Value| {
        let mut model = model.clone();
        model[field] = value;
        model
    };
    let error = |model: &Value, content: &Content| load(model, &content.bytes()).err().unwrap();
    assert!(matches!(
        error(&with(&unigram, "words", json!(9)), &scored),
        TokenizerError::WordCount { found_words: 5, expected_words: 9, .. }
    ));
    assert!(matches!(
        error(&with(&bpe, "merges", json!(1)), &merged),
        TokenizerError::MergeCount { found_merges: 2, expected_merges: 1, .. }
    ));
    assert!(matches!(
        error(&with(&unigram, "words", json!(6)), &merged),
        TokenizerError::MergeCount { found_merges: 2, expected_merges: 0, .. }
    ));
    let without_scores = Content { scores: None, ..scored.clone() };
    let rejected = error(&unigram, &without_scores);
    assert!(rejected.to_string().contains("has no scores; the model in tokenizer.json has scores"));
    let unmerged = Content { merges: Vec::new(), ..scored.clone() };
    let of_pieces = with(&with(&bpe, "words", json!(5)), "merges", json!(0));
    assert!(matches!(error(&of_pieces, &unmerged), TokenizerError::Scores { expected: false, .. }));
    assert!(matches!(
        error(&with(&unigram, "unk_id", json!(5)), &scored),
        TokenizerError::NoUnknownId { id: 5, .. }
    ));
    assert!(matches!(
        error(&with(&bpe, "unk_token", json!("[UNK]")), &merged),
        TokenizerError::NoUnknownToken { token, .. } if token == "[UNK]"
    ));
}

#[test]
fn without_an_unknown_token_unigram_fails_and_bpe_drops_characters() {
    let (mut model, content) = small_unigram();
    model["unk_id"] = Value::Null;
    let tokenizer = load(&model, &content.bytes()).unwrap();
    assert_eq!(ids(&tokenizer, "ab"), [3]);
    assert!(matches!(
        tokenizer.encode("ax", Side::Right, Count::UpToLimit),
        Err(TokenizerError::Encode(_))
    ));
    let (mut model, content) = small_bpe();
    model["unk_token"] = Value::Null;
    assert_eq!(ids(&load(&model, &content.bytes()).unwrap(), "axb"), [3]);
}
