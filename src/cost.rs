//! What a call cost.

use std::time::Duration;

/// What a call cost: texts, tokens and time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Texts, or pairs, of the call.
    pub texts: usize,
    /// Distinct texts, or pairs, among them. Each goes through the model once.
    pub unique_texts: usize,
    /// Distinct texts whose embeddings were in the cache.
    pub cache_hits: usize,
    /// Characters of the texts.
    pub characters: usize,
    /// Tokens of the texts as far as the model reads them, special tokens included.
    pub prompt_tokens: usize,
    /// Tokens that went through the model, special tokens included.
    pub tokens: usize,
    /// The same: passes have no padding. It stays for one version, for those who read it.
    pub padded_tokens: usize,
    /// Forward passes.
    pub passes: usize,
    /// Indices of the truncated texts, in input order. In a call with a query, 0 is the query and
    /// texts start at 1.
    pub truncated: Vec<usize>,
    /// Time in the tokenizer and in the cache.
    pub tokenize_time: Duration,
    /// Time until the model was free.
    pub queue_time: Duration,
    /// Time in the model and in pooling.
    pub infer_time: Duration,
}

impl Cost {
    /// Adds the cost of another call. Indices of truncated texts belong to one call, so they stay.
    pub fn add(&mut self, other: &Self) {
        self.texts += other.texts;
        self.unique_texts += other.unique_texts;
        self.cache_hits += other.cache_hits;
        self.characters += other.characters;
        self.prompt_tokens += other.prompt_tokens;
        self.tokens += other.tokens;
        self.padded_tokens += other.padded_tokens;
        self.passes += other.passes;
        self.tokenize_time += other.tokenize_time;
        self.queue_time += other.queue_time;
        self.infer_time += other.infer_time;
    }
}
