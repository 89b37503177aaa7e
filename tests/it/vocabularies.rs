//! Ids and positions are those of the tokenizers library, with the vocabularies of real models: Unigram
//! and BPE for words and texts, and every kind for texts with special tokens inside.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits};
use semblance_test_support::{bundle, tokenizer_folder};
use serde_json::{Map, Value};

/// A limit that never truncates.
const ANY_TOKENS: usize = 1 << 20;

/// Single words that are compared.
const WORDS: usize = 42_000;

/// Added tokens that are put into texts, the special ones first.
const ADDED_TOKENS: usize = 60;

/// Texts that are compared.
const TEXTS: usize = 5_200;

/// The first and the last character of scripts and of other blocks of Unicode.
const BLOCKS: [(u32, u32); 56] = [
    (0x0020, 0x007e),
    (0x00a0, 0x017f),
    (0x0180, 0x024f),
    (0x0250, 0x02af),
    (0x0300, 0x036f),
    (0x0370, 0x03ff),
    (0x0400, 0x04ff),
    (0x0531, 0x058f),
    (0x0591, 0x05f4),
    (0x0600, 0x06ff),
    (0x0700, 0x074f),
    (0x0780, 0x07b1),
    (0x0900, 0x097f),
    (0x0980, 0x09fe),
    (0x0a01, 0x0a76),
    (0x0a81, 0x0aff),
    (0x0b01, 0x0b77),
    (0x0b82, 0x0bfa),
    (0x0c00, 0x0c7f),
    (0x0c80, 0x0cf3),
    (0x0d00, 0x0d7f),
    (0x0d81, 0x0df4),
    (0x0e01, 0x0e5b),
    (0x0e81, 0x0edf),
    (0x0f00, 0x0fda),
    (0x1000, 0x109f),
    (0x10a0, 0x10ff),
    (0x1100, 0x11ff),
    (0x1200, 0x137c),
    (0x13a0, 0x13fd),
    (0x1400, 0x167f),
    (0x1680, 0x169c),
    (0x16a0, 0x16f8),
    (0x1780, 0x17f9),
    (0x1800, 0x18aa),
    (0x1e00, 0x1eff),
    (0x1f00, 0x1ffe),
    (0x2000, 0x206f),
    (0x2070, 0x20bf),
    (0x2100, 0x218b),
    (0x2190, 0x22ff),
    (0x2460, 0x24ff),
    (0x2580, 0x27bf),
    (0x2c00, 0x2c5f),
    (0x3000, 0x30ff),
    (0x3105, 0x312f),
    (0x3131, 0x318e),
    (0x3200, 0x33ff),
    (0x4e00, 0x9fff),
    (0xa000, 0xa48c),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfb00, 0xfdff),
    (0xfe70, 0xffef),
    (0x1d400, 0x1d7ff),
    (0x1f300, 0x1faff),
];

/// The tokenizer of a bundle and the library's, from the same `tokenizer.json`.
struct Both {
    name: &'static str,
    ours: Tokenizer,
    theirs: tokenizers::Tokenizer,
    /// What a text can contain as one token.
    pieces: Vec<String>,
}

/// The id and the position of a token, in characters; special tokens have none.
type Placed = (u32, Option<(usize, usize)>);

impl Both {
    fn load(name: &'static str) -> Self {
        let folder = tokenizer_folder(name);
        let path = |file: &str| -> PathBuf { folder.join(file) };
        let mut source: Value =
            serde_json::from_slice(&fs::read(path("source.json")).unwrap()).unwrap();
        (source["truncation"], source["padding"]) = (Value::Null, Value::Null);
        let theirs: tokenizers::Tokenizer = source.to_string().parse().unwrap();
        let limits = TokenizerLimits {
            max_tokens: ANY_TOKENS,
            vocabulary_size: theirs.get_vocab_size(true),
        };
        let ours = Tokenizer::from_files(&path("tokenizer.json"), &path("vocabulary.bin"), limits)
            .unwrap();
        let pieces: BTreeMap<u32, String> =
            theirs.get_vocab(true).into_iter().map(|(piece, id)| (id, piece)).collect();
        let pieces = pieces.into_values().collect();
        Self { name, ours, theirs, pieces }
    }

    /// The tokenizer of the default model.
    fn word_piece() -> Self {
        let path = |file: &str| bundle().join(file);
        let mut rules: Value =
            serde_json::from_slice(&fs::read(path("tokenizer.json")).unwrap()).unwrap();
        let words = fs::read_to_string(path("vocabulary.txt")).unwrap();
        let pieces: Vec<String> = words.lines().map(str::to_owned).collect();
        let ids: Map<String, Value> = pieces.iter().cloned().zip((0..).map(Value::from)).collect();
        rules["model"].as_object_mut().unwrap().remove("words");
        rules["model"]["vocab"] = ids.into();
        let limits = TokenizerLimits { max_tokens: ANY_TOKENS, vocabulary_size: pieces.len() };
        let ours = Tokenizer::from_files(&path("tokenizer.json"), &path("vocabulary.txt"), limits)
            .unwrap();
        Self { name: "all-MiniLM-L6-v2", ours, theirs: rules.to_string().parse().unwrap(), pieces }
    }

    /// Texts with added tokens, special ones in particular, alone and between words.
    fn texts_with_added_tokens(&self) -> Vec<String> {
        let mut added: Vec<_> = self.theirs.get_added_tokens_decoder().into_iter().collect();
        added.sort_by_key(|(id, token)| (!token.special, *id));
        let added: Vec<String> =
            added.into_iter().take(ADDED_TOKENS).map(|(_, token)| token.content).collect();
        let mut texts = Vec::new();
        for (index, token) in added.iter().enumerate() {
            let other = &added[(index + 1) % added.len()];
            let (lower, upper) = (token.to_lowercase(), token.to_uppercase());
            texts.extend([
                token.clone(),
                format!("{token}{token}"),
                format!(" {token} "),
                format!("before{token}after"),
                format!("before {token} after"),
                format!("before\u{a0}{token}\n\n{other}\tafter{token}"),
                format!("\u{65e5}\u{672c}{token}\u{8a9e} {lower} {upper}"),
                token.chars().map(|character| format!("{character} ")).collect(),
                token[..token.len() - token.chars().last().map_or(0, char::len_utf8)].to_owned(),
            ]);
        }
        texts
    }

    fn expected(&self, text: &str) -> Vec<Placed> {
        let encoding = self.theirs.encode_char_offsets(text, true).unwrap();
        let rows = encoding.get_ids().iter().zip(encoding.get_offsets());
        let rows = rows.zip(encoding.get_special_tokens_mask());
        rows.map(|((&id, &at), &special)| (id, (special == 0).then_some(at))).collect()
    }

    fn assert_equal(&self, text: &str) {
        let expected = self.expected(text);
        let tokens = self.ours.tokens(text, true, usize::MAX).unwrap().unwrap();
        let tokens: Vec<Placed> = tokens
            .into_iter()
            .map(|token| (token.id, token.characters.map(|at| (at.start, at.end))))
            .collect();
        assert_eq!(tokens, expected, "{}: {text:?}", self.name);
        let ids: Vec<i32> = expected.iter().map(|&(id, _)| id.try_into().unwrap()).collect();
        let encoding = self.ours.encode(text, Side::Right, Count::UpToLimit).unwrap();
        assert_eq!(encoding.input_ids, ids, "{}: {text:?}", self.name);
    }
}

/// Numbers that look random, always the same (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Characters of one block.
    fn characters(&mut self, (first, last): (u32, u32), most: usize) -> String {
        let count = 1 + self.below(most);
        let one = |numbers: &mut Self| {
            char::from_u32(first + numbers.below((last - first + 1) as usize) as u32)
        };
        (0..count).filter_map(|_| one(self)).collect()
    }

    fn word(&mut self, pieces: &[String]) -> String {
        let bare = |piece: &str| piece.replace(['\u{2581}', '\u{120}'], "");
        match self.below(4) {
            0 => self.pick::<String>(pieces).clone(),
            1 => bare(self.pick::<String>(pieces)),
            2 => (0..1 + self.below(4)).map(|_| bare(self.pick::<String>(pieces))).collect(),
            _ => {
                let block = *self.pick(&BLOCKS);
                self.characters(block, 12)
            }
        }
    }
}

/// Compares words and texts of every block.
fn compare(name: &'static str) {
    let both = Both::load(name);
    let mut numbers = Numbers(7);
    for _ in 0..WORDS {
        both.assert_equal(&numbers.word(&both.pieces));
    }
    let spaces = [" ", "  ", "\n", "\t", "\u{a0}", "\u{3000}", "\u{2581}", "", ".", "\r\n"];
    for text in 0..TEXTS {
        // Each block in turn, with words of the vocabulary between.
        let block = BLOCKS[text % BLOCKS.len()];
        let parts: String = (0..1 + numbers.below(24))
            .map(|_| {
                let word = match numbers.below(3) {
                    0 => numbers.word(&both.pieces),
                    _ => numbers.characters(block, 8),
                };
                word + *numbers.pick(&spaces)
            })
            .collect();
        both.assert_equal(&parts);
    }
    for text in
        ["", " ", "\n", "\0", "a\u{300}", "\u{fb01}", "\u{feff}", "\u{200d}", "<s>", "</s> x"]
    {
        both.assert_equal(text);
    }
    let config =
        ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let text = prop_oneof![
        any::<String>(),
        prop::collection::vec(any::<char>(), 0..60)
            .prop_map(|characters| characters.into_iter().collect())
    ];
    runner
        .run(&text, |text| {
            both.assert_equal(&text);
            Ok(())
        })
        .unwrap();
    println!(
        "tokenizer {name}: {} entries, {WORDS} words, {TEXTS} texts of {} blocks, 500 random strings",
        both.pieces.len(),
        BLOCKS.len()
    );
}

#[test]
fn special_tokens_inside_texts_are_those_of_the_library() {
    let real = ["e5", "deberta", "qwen", "llama", "gemma"].map(Both::load);
    for both in std::iter::once(Both::word_piece()).chain(real) {
        let texts = both.texts_with_added_tokens();
        for text in &texts {
            both.assert_equal(text);
        }
        println!("{}: {} texts with added tokens", both.name, texts.len());
    }
}

#[test]
fn unigram_of_xlm_roberta_is_that_of_the_library() {
    compare("e5");
}

#[test]
fn unigram_of_deberta_is_that_of_the_library() {
    compare("deberta");
}

#[test]
fn byte_level_bpe_of_qwen_is_that_of_the_library() {
    compare("qwen");
}

#[test]
fn bpe_with_byte_fallback_of_llama_is_that_of_the_library() {
    compare("llama");
}

#[test]
fn bpe_with_byte_fallback_of_gemma_is_that_of_the_library() {
    compare("gemma");
}
