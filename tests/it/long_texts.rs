//! Long texts: only a part is tokenized, and the token ids are those of the whole text.

use std::path::PathBuf;
use std::time::Instant;

use proptest::prelude::*;
use semblance::internals::tokenizer::{Count, Encoding, Side, Tokenizer, TokenizerLimits};
use semblance_test_support::{bundle, multilingual_bundle, tokenizer_folder};

/// Small, so that texts of some hundred bytes are long.
const MAX_TOKENS: usize = 9;

/// Folders of tokenizers, the names of their vocabularies, and whether a text can lose its start.
fn tokenizers() -> Vec<(PathBuf, &'static str, bool)> {
    let mut tokenizers =
        vec![(bundle(), "vocabulary.txt", true), (multilingual_bundle(), "vocabulary.bin", true)];
    for (name, left) in [("deberta", false), ("gemma", true), ("llama", false), ("qwen", true)] {
        tokenizers.push((tokenizer_folder(name), "vocabulary.bin", left));
    }
    tokenizers
}

fn load((folder, vocabulary, _): &(PathBuf, &str, bool), max_tokens: usize) -> Tokenizer {
    let limits = TokenizerLimits { max_tokens, vocabulary_size: 1 << 20 };
    let vocabulary = folder.join(vocabulary);
    Tokenizer::from_files(&folder.join("tokenizer.json"), &vocabulary, limits).unwrap()
}

/// Parts of texts of many scripts, with what tokenizers treat in a special way.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        " ",
        "  ",
        "\n",
        "\t",
        "!",
        "_",
        "'s",
        "...",
        "[SEP]",
        "[UNK]",
        "[unk]",
        "<mask>",
        "<s>",
        "</s>",
        "<|im_end|>",
        "\u{301}",
        "\u{200d}",
        "\u{2581}",
        "\u{fdfa}",
        "\u{2014}",
        "\u{3002}",
        "\u{ff0c}",
        "\u{600}",
        "\u{d4e}",
        "\u{1f468}\u{200d}\u{1f469}",
        "\r\n",
        "\u{a0}",
        "\u{3000}",
        "<div>",
        "a b",
    ];
    let part = prop_oneof![
        8 => "[a-z]{1,9} ",
        2 => "[A-Z0-9]{1,4}",
        2 => "[а-яё]{1,8} ",
        2 => "[가-힣]{1,4} ",
        2 => "[一-鿿]{1,6}",
        1 => "[\u{e01}-\u{e30}]{1,6}",
        1 => "[\u{620}-\u{64a}]{1,6} ",
        1 => "[\u{300}-\u{36f}]",
        6 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 60..260).prop_map(|parts| parts.concat())
}

/// Compares the token ids with those of the whole text. Returns whether only a part was tokenized.
fn compare(part: &Encoding, whole: &Encoding, context: &str) -> bool {
    assert!(whole.is_counted, "{context}");
    assert_eq!(part.input_ids, whole.input_ids, "{context}");
    assert_eq!(part.token_type_ids, whole.token_type_ids, "{context}");
    assert_eq!((part.empty_text, part.is_truncated()), (whole.empty_text, whole.is_truncated()));
    assert!(part.total_tokens <= whole.total_tokens, "{context}");
    assert!(!part.is_counted || part.total_tokens == whole.total_tokens, "{context}");
    !part.is_counted
}

#[test]
fn token_ids_are_those_of_the_whole_text() {
    for named in tokenizers() {
        let tokenizer = load(&named, MAX_TOKENS);
        let parts = std::cell::Cell::new([0_usize; 2]);
        let name = named.0.display();
        proptest!(ProptestConfig::with_cases(150), |(text in text())| {
            for (index, side) in [Side::Right, Side::Left].into_iter().enumerate() {
                let part = tokenizer.encode(&text, side, Count::UpToLimit).unwrap();
                let whole = tokenizer.encode(&text, side, Count::All).unwrap();
                let is_part = compare(&part, &whole, &format!("{name}, {side:?}: {text:?}"));
                let mut counts = parts.get();
                counts[index] += usize::from(is_part);
                parts.set(counts);
            }
        });
        let [right, left] = parts.get();
        println!("{name}: a part of {right} and {left} texts of 150");
        assert!(right > 75 && (left > 75) == named.2, "{name}: {right}, {left}");
    }
}

#[test]
fn token_ids_of_pairs_are_those_of_the_whole_texts() {
    let texts = || prop_oneof![2 => text(), 1 => "[a-z]{1,6}( [a-z]{1,6}){0,6}"];
    for named in &tokenizers()[..2] {
        for max_tokens in [16, 17] {
            let tokenizer = load(named, max_tokens).for_pairs().unwrap();
            proptest!(ProptestConfig::with_cases(50), |(first in texts(), second in texts())| {
                for side in [Side::Right, Side::Left] {
                    let pair = |count| tokenizer.encode_pair(&first, &second, side, count).unwrap();
                    let (part, whole) = (pair(Count::UpToLimit), pair(Count::All));
                    compare(&part, &whole, &format!("{side:?}: {first:?}, {second:?}"));
                }
            });
        }
    }
}

#[test]
fn the_start_of_a_text_with_some_tokens_is_that_of_the_whole_text() {
    for named in tokenizers() {
        let tokenizer = load(&named, MAX_TOKENS);
        proptest!(ProptestConfig::with_cases(60), |(text in text(), tokens in 1_usize..12)| {
            let all = tokenizer.tokens(&text, false, usize::MAX).unwrap().unwrap();
            let next = all.get(tokens).and_then(|token| token.characters.clone());
            prop_assert_eq!(tokenizer.characters_of(&text, tokens).unwrap(), next.map(|at| at.start));
        });
    }
}

#[test]
fn the_work_for_a_text_does_not_grow_with_what_is_truncated() {
    let texts = [
        ("words", "the quick brown fox jumps ".repeat(10_000)),
        ("punctuation", "!".repeat(250_000)),
        ("ideographs", "\u{6f22}\u{5b57}".repeat(42_500)),
        ("Cyrillic", "быстрая лиса ".repeat(11_250)),
    ];
    let tokenizer = load(&tokenizers()[0], 256);
    for (name, text) in &texts {
        for side in [Side::Right, Side::Left] {
            let time = |count| {
                let started = Instant::now();
                let encoding = tokenizer.encode(text, side, count).unwrap();
                (encoding, started.elapsed())
            };
            let ((part, part_time), (whole, whole_time)) =
                (time(Count::UpToLimit), time(Count::All));
            assert!(compare(&part, &whole, name), "{name}, {side:?}");
            assert!(part.total_tokens < 6_000, "{name}: {}", part.total_tokens);
            println!("{name}, {side:?}, {} bytes: {part_time:.1?} of {whole_time:.1?}", text.len());
        }
    }
}

#[test]
fn the_work_for_a_pair_is_that_for_its_texts() {
    // The library keeps the truncated tokens in parts, and would combine the parts of both texts.
    let text = "the quick brown fox jumps ".repeat(1_500);
    let tokenizer = load(&tokenizers()[0], 16).for_pairs().unwrap();
    for side in [Side::Right, Side::Left] {
        let started = Instant::now();
        tokenizer.encode(&text, side, Count::All).unwrap();
        let alone = started.elapsed();
        let started = Instant::now();
        let pair = tokenizer.encode_pair(&text, &text, side, Count::All).unwrap();
        let pair_time = started.elapsed();
        println!("{side:?}: a text {alone:.1?}, a pair {pair_time:.1?}");
        assert_eq!((pair.input_ids.len(), pair.total_tokens), (16, 15_003));
        assert!(pair_time < 20 * alone, "{side:?}: {pair_time:?} is far above {alone:?}");
    }
}
