//! The bi-encoder: texts to pooled vectors, with a cache.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::cache::{Cache, CacheLimit, Entry, Key};
use crate::cancel::Cancel;
use crate::cost::Cost;
use crate::error::ModelError;
use crate::runtime::{Infer, InferError, Inputs};
use crate::scheduler::{RowModel, Scheduler};
use crate::tokenizer::{Encoding, Side, Token, Tokenizer, TokenizerError};
use crate::vector::{Pooling, pool};

/// An encoder for a bundle of the task `embedding`: tokenizer, transformer with pooling, and a cache
/// of recent vectors.
pub struct Encoder {
    tokenizer: Tokenizer,
    scheduler: Scheduler,
    cache: Mutex<Cache>,
    is_cached: bool,
}

/// A transformer whose token embeddings are pooled: texts to vectors `[texts, dim]`.
pub struct PooledModel<I> {
    transformer: I,
    pooling: Pooling,
}

impl<I> PooledModel<I> {
    /// Returns a model of this transformer.
    #[must_use]
    pub fn new(transformer: I, pooling: Pooling) -> Self {
        Self { transformer, pooling }
    }
}

impl<I: Infer> RowModel for PooledModel<I> {
    fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        self.transformer.infer(inputs, |tokens| pool(tokens, inputs.rows(), self.pooling))
    }
}

/// Texts that are ready for the model: tokenized, or found in the cache.
#[derive(Clone, Debug)]
pub struct PreparedTexts {
    texts: Vec<PreparedText>,
    tokenize_time: Duration,
}

#[derive(Clone, Debug)]
struct PreparedText {
    key: Option<Key>,
    state: TextState,
}

#[derive(Clone, Debug)]
enum TextState {
    Cached(Entry),
    Tokenized(Encoding),
}

impl PreparedTexts {
    /// Returns, for each text, its number of tokens before truncation and whether it was truncated.
    #[must_use]
    pub fn token_counts(&self) -> Vec<(usize, bool)> {
        let count = |text: &PreparedText| match &text.state {
            TextState::Cached(entry) => (entry.total_tokens, entry.is_truncated),
            TextState::Tokenized(encoding) => (encoding.total_tokens, encoding.is_truncated()),
        };
        self.texts.iter().map(count).collect()
    }
}

/// Pooled vectors of texts and their cost.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledTexts {
    /// `[texts, dim]`, f32, not normalized, in input order.
    pub pooled: Array2<f32>,
    /// Token counts and times.
    pub cost: Cost,
}

impl Encoder {
    /// Returns an encoder of these parts with an empty cache.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, scheduler: Scheduler, cache: CacheLimit) -> Self {
        let cache = Cache::new(cache);
        let is_cached = cache.is_enabled();
        Self { tokenizer, scheduler, cache: Mutex::new(cache), is_cached }
    }

    /// Looks up each text in the cache and tokenizes the others. A text beyond the model's limit is
    /// truncated on `side`.
    ///
    /// # Errors
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn prepare<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        side: Side,
        cancel: &Cancel,
    ) -> Result<PreparedTexts, ModelError> {
        let started = Instant::now();
        let texts = texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                cancel.check()?;
                let failed = |source| ModelError::Tokenize { index, source };
                self.prepare_text(text, side).map_err(failed)
            })
            .collect::<Result<_, _>>()?;
        Ok(PreparedTexts { texts, tokenize_time: started.elapsed() })
    }

    fn prepare_text(&self, text: &str, side: Side) -> Result<PreparedText, TokenizerError> {
        let key = self.is_cached.then(|| Key::new(text, side));
        let cached = key.and_then(|key| self.cache().get(key).cloned());
        let state = match cached {
            Some(entry) => TextState::Cached(entry),
            None => TextState::Tokenized(self.tokenizer.encode(text, side)?),
        };
        Ok(PreparedText { key, state })
    }

    /// Returns one pooled vector per text, in input order. A vector does not depend on the other
    /// texts.
    ///
    /// # Errors
    /// - [`ModelError::Inference`] if the model fails on a batch.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn encode(
        &self,
        prepared: PreparedTexts,
        cancel: &Cancel,
    ) -> Result<PooledTexts, ModelError> {
        let started = Instant::now();
        let PreparedTexts { mut texts, tokenize_time } = prepared;
        let mut cost = self.complete(&mut texts, cancel)?;
        cost.tokenize_time = tokenize_time;
        let rows: Vec<_> = texts
            .iter()
            .filter_map(|text| match &text.state {
                TextState::Cached(entry) => Some(entry.pooled.view()),
                TextState::Tokenized(_) => None,
            })
            .collect();
        let pooled = match rows.first() {
            None => Array2::zeros((0, 0)),
            Some(first) => {
                let mut pooled = Array2::zeros((rows.len(), first.len()));
                for (mut row, vector) in pooled.outer_iter_mut().zip(&rows) {
                    row.assign(vector);
                }
                pooled
            }
        };
        cost.infer_time = started.elapsed().saturating_sub(cost.queue_time);
        Ok(PooledTexts { pooled, cost })
    }

    /// Runs the model on the texts that are not cached, in batches, and caches their vectors.
    fn complete(&self, texts: &mut [PreparedText], cancel: &Cancel) -> Result<Cost, ModelError> {
        let (mut uncached, mut encodings) = (Vec::new(), Vec::new());
        for (index, text) in texts.iter_mut().enumerate() {
            if let TextState::Tokenized(encoding) = &mut text.state {
                uncached.push((index, encoding.total_tokens, encoding.is_truncated()));
                encodings.push(std::mem::take(encoding));
            }
        }
        let run = self.scheduler.run(encodings, cancel)?;
        let cost = Cost {
            cache_hits: texts.len() - uncached.len(),
            tokens: run.tokens,
            padded_tokens: run.tokens,
            passes: run.passes,
            queue_time: run.queue_time,
            ..Cost::default()
        };
        for ((index, total_tokens, is_truncated), pooled) in uncached.into_iter().zip(run.rows) {
            let entry = Entry { pooled, total_tokens, is_truncated };
            if let Some(key) = texts[index].key {
                self.cache().put(key, entry.clone());
            }
            texts[index].state = TextState::Cached(entry);
        }
        Ok(cost)
    }

    /// Returns the tokens of the whole text, without truncation; `None` if there are more than
    /// `limit_tokens`.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the tokenizer fails on the text.
    pub fn tokens(
        &self,
        text: &str,
        special: bool,
        limit_tokens: usize,
    ) -> Result<Option<Vec<Token>>, TokenizerError> {
        self.tokenizer.tokens(text, special, limit_tokens)
    }

    /// The maximum number of tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
