//! The bi-encoder: texts to embeddings, each text once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::cache::{Cache, CacheLimit, Entry, Key};
use crate::cost::Cost;
use crate::error::ModelError;
use crate::runtime::{Infer, InferError, Inputs};
use crate::scheduler::{RowModel, Scheduler};
use crate::tokenizer::{Encoding, Side, Token, Tokenizer, TokenizerError};
use crate::vector::{Pooling, pool};

/// A tokenizer, a transformer and a way to pool: what a bundle of the task `embedding` describes;
/// and the vectors of the texts it saw last.
pub struct Encoder {
    tokenizer: Tokenizer,
    scheduler: Scheduler,
    cache: Mutex<Cache>,
    remembers: bool,
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

/// Texts ready for the model: tokenized, or known from before.
#[derive(Clone, Debug)]
pub struct Prepared {
    texts: Vec<PreparedText>,
    tokenize_time: Duration,
}

#[derive(Clone, Debug)]
struct PreparedText {
    key: Option<Key>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Known(Entry),
    Tokenized(Encoding),
}

impl Prepared {
    /// Returns, for each text, its tokens before truncation and whether it was truncated.
    #[must_use]
    pub fn token_counts(&self) -> Vec<(usize, bool)> {
        let count = |text: &PreparedText| match &text.state {
            State::Known(entry) => (entry.total_tokens, entry.is_truncated),
            State::Tokenized(encoding) => (encoding.total_tokens, encoding.is_truncated()),
        };
        self.texts.iter().map(count).collect()
    }
}

/// Pooled vectors of texts, `[texts, dim]`, f32, not normalised, and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The vectors, in the order of the texts.
    pub pooled: Array2<f32>,
    /// What was read and how long it took.
    pub cost: Cost,
}

impl Encoder {
    /// Returns an encoder of these parts that knows no text yet.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, scheduler: Scheduler, cache: CacheLimit) -> Self {
        let cache = Cache::new(cache);
        let remembers = cache.is_on();
        Self { tokenizer, scheduler, cache: Mutex::new(cache), remembers }
    }

    /// Looks each text up, and tokenizes those that are not known, cut on one side to the model's
    /// limit.
    ///
    /// # Errors
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    pub fn prepare<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        side: Side,
    ) -> Result<Prepared, ModelError> {
        let started = Instant::now();
        let texts = texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                let failed = |source| ModelError::Tokenize { index, source };
                self.prepare_text(text, side).map_err(failed)
            })
            .collect::<Result<_, _>>()?;
        Ok(Prepared { texts, tokenize_time: started.elapsed() })
    }

    fn prepare_text(&self, text: &str, side: Side) -> Result<PreparedText, TokenizerError> {
        let key = self.remembers.then(|| Key::of(text, side));
        let known = key.and_then(|key| self.cache().get(key).cloned());
        let state = match known {
            Some(entry) => State::Known(entry),
            None => State::Tokenized(self.tokenizer.encode(text, side)?),
        };
        Ok(PreparedText { key, state })
    }

    /// Returns one pooled vector a text, in the order given; a vector does not depend on the
    /// other texts.
    ///
    /// # Errors
    /// - [`ModelError::Inference`] if the model fails on a batch.
    pub fn encode(&self, prepared: Prepared) -> Result<Encoded, ModelError> {
        let started = Instant::now();
        let Prepared { mut texts, tokenize_time } = prepared;
        let mut cost = self.complete(&mut texts)?;
        cost.tokenize_time = tokenize_time;
        let rows: Vec<_> = texts
            .iter()
            .filter_map(|text| match &text.state {
                State::Known(entry) => Some(entry.pooled.view()),
                State::Tokenized(_) => None,
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
        Ok(Encoded { pooled, cost })
    }

    /// Puts the vectors of the texts that are not known through the model, in batches, and
    /// remembers them.
    fn complete(&self, texts: &mut [PreparedText]) -> Result<Cost, ModelError> {
        let (mut unknown, mut encodings) = (Vec::new(), Vec::new());
        for (index, text) in texts.iter_mut().enumerate() {
            if let State::Tokenized(encoding) = &mut text.state {
                unknown.push((index, encoding.total_tokens, encoding.is_truncated()));
                encodings.push(std::mem::take(encoding));
            }
        }
        let run = self.scheduler.run(encodings)?;
        let cost = Cost {
            cache_hits: texts.len() - unknown.len(),
            tokens: run.tokens,
            padded_tokens: run.tokens,
            passes: run.passes,
            queue_time: run.queue_time,
            ..Cost::default()
        };
        for ((index, total_tokens, is_truncated), pooled) in unknown.into_iter().zip(run.rows) {
            let entry = Entry { pooled, total_tokens, is_truncated };
            if let Some(key) = texts[index].key {
                self.cache().put(key, entry.clone());
            }
            texts[index].state = State::Known(entry);
        }
        Ok(cost)
    }

    /// Returns the tokens of the whole text, not cut.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the tokenizer fails on the text.
    pub fn tokens(&self, text: &str, special: bool) -> Result<Vec<Token>, TokenizerError> {
        self.tokenizer.tokens(text, special)
    }

    /// The most tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
