//! The cost of a call.

use std::time::Duration;

/// The cost of a call: texts, tokens and time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Number of texts, or pairs, of the call.
    pub texts: usize,
    /// Number of distinct texts, or pairs. Each goes through the model once.
    pub unique_texts: usize,
    /// Number of distinct texts whose embeddings were in the cache.
    pub cache_hits: usize,
    /// Number of characters of the texts.
    pub characters: usize,
    /// Number of tokens of the texts after truncation, special tokens included.
    pub prompt_tokens: usize,
    /// Number of tokens that went through the model, special tokens included and padding excluded.
    pub tokens: usize,
    /// Number of tokens that went through the model, padding included.
    pub padded_tokens: usize,
    /// Number of forward passes.
    pub passes: usize,
    /// Indices of the truncated texts, in input order. In a call with a query, 0 is the query and
    /// texts start at 1.
    pub truncated: Vec<usize>,
    /// Time in the tokenizer and the cache.
    pub tokenize_time: Duration,
    /// Time waiting for the model.
    pub queue_time: Duration,
    /// Time in the model and pooling.
    pub infer_time: Duration,
}

impl Cost {
    /// Adds the cost of another call, except `truncated`, whose indices belong to one call.
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
