//! What a request took.

use std::time::Duration;

use crate::api::Scorer;

/// What a request took, for logs and headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Texts of the request.
    pub texts: usize,
    /// Different texts, or pairs, among them: each goes through the model once.
    pub unique_texts: usize,
    /// Different texts whose embeddings were known from an earlier request.
    pub cache_hits: usize,
    /// Characters of the request's texts.
    pub characters: usize,
    /// Tokens of the request's texts as far as a model reads them, special tokens counted.
    pub prompt_tokens: usize,
    /// Tokens the model read for this request, special tokens counted.
    pub tokens: usize,
    /// The same with padding.
    pub padded_tokens: usize,
    /// Indices of the texts that were cut to the model's limit; where there is a query, it is 0 and
    /// texts follow.
    pub cut: Vec<usize>,
    /// Time in the tokenizer.
    pub tokenise_time: Duration,
    /// Time until the model was free.
    pub queue_time: Duration,
    /// Time in the model and in pooling.
    pub infer_time: Duration,
    /// What scored the texts of a rerank.
    pub scored_by: Option<Scorer>,
}

impl Usage {
    /// Adds what another request took; which texts were cut is told of one request only.
    pub fn add(&mut self, other: &Self) {
        self.texts += other.texts;
        self.unique_texts += other.unique_texts;
        self.cache_hits += other.cache_hits;
        self.characters += other.characters;
        self.prompt_tokens += other.prompt_tokens;
        self.tokens += other.tokens;
        self.padded_tokens += other.padded_tokens;
        self.tokenise_time += other.tokenise_time;
        self.queue_time += other.queue_time;
        self.infer_time += other.infer_time;
    }
}
