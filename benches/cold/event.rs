//! The events that the function is sent.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Result, in_file};

/// Candidates of the large event.
pub(crate) const LARGE_EVENT_CANDIDATES: usize = 500;

/// What the texts of the large event are made of.
const WORDS: [&str; 32] = [
    "the",
    "parcel",
    "was",
    "delivered",
    "to",
    "London",
    "after",
    "nine",
    "million",
    "people",
    "of",
    "a",
    "financial",
    "district",
    "asked",
    "whether",
    "their",
    "invoice",
    "password",
    "refund",
    "and",
    "opening",
    "hours",
    "changed",
    "in",
    "March",
    "because",
    "photosynthesis",
    "requires",
    "carbon",
    "dioxide",
    "?",
];

/// Reads an event.
pub(crate) fn first(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(in_file(file))
}

/// The same candidates each time, all different: seven in ten of 4 to 19 words, a quarter of up to
/// 79, one in twenty of up to 249, which is more than the default model reads.
pub(crate) fn large() -> Vec<u8> {
    let mut numbers = Numbers(1);
    let candidates: Vec<Value> = (0..LARGE_EVENT_CANDIDATES)
        .map(|index| {
            let words = match numbers.below(20) {
                0 => 80 + numbers.below(170),
                1..=5 => 20 + numbers.below(60),
                _ => 4 + numbers.below(16),
            };
            let mut text = index.to_string();
            for _ in 0..words {
                text.push(' ');
                text.push_str(WORDS[numbers.below(WORDS.len())]);
            }
            text.into()
        })
        .collect();
    json!({ "query_from_app": "How many people live in London?", "actual_queries": candidates })
        .to_string()
        .into_bytes()
}

/// A linear congruential generator: Knuth, "Seminumerical Algorithms", 3.3.4, line 26.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // The high bits are the random ones.
        (self.0 >> 33) as usize % limit
    }
}
