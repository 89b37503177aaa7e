//! The bi-encoder: texts to pooled vectors, with a cache.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{Array1, Array2, s};

use crate::cache::{Cache, CacheLimit, Entry, Key};
use crate::cancel::Cancel;
use crate::cost::Cost;
use crate::error::ModelError;
use crate::runtime::{Infer, InferError, Inputs};
use crate::scheduler::{RowModel, Scheduler};
use crate::tokenizer::{Count, Encoding, Reading, Tokenizer, TokenizerError};
use crate::vector::{DenseLayer, Poolings, pool};

/// An encoder for a bundle of the task `embedding`: tokenizer, transformer with pooling, and a cache
/// of recent vectors.
pub struct Encoder {
    tokenizer: Tokenizer,
    scheduler: Scheduler,
    cache: Mutex<Cache>,
    is_cached: bool,
}

/// A transformer whose token embeddings become vectors `[texts, dim]`.
pub struct PooledModel<I> {
    transformer: I,
    modules: Modules,
}

/// What follows the transformer of an embedding model.
#[derive(Clone, Debug)]
pub struct Modules {
    /// How token embeddings are pooled.
    pub poolings: Poolings,
    /// Dense layers, in their order.
    pub dense: Vec<DenseLayer>,
    /// Number of features of the result that are kept, the first ones.
    pub dimensions: usize,
}

impl<I> PooledModel<I> {
    /// Returns a model of this transformer.
    #[must_use]
    pub fn new(transformer: I, modules: Modules) -> Self {
        Self { transformer, modules }
    }
}

impl<I: Infer> RowModel for PooledModel<I> {
    fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        let Modules { poolings, dense, dimensions } = &self.modules;
        let mut rows =
            self.transformer.infer(inputs, |tokens| pool(tokens, inputs.rows(), poolings))?;
        for layer in dense {
            rows = layer.apply(rows.view())?;
        }
        let columns = rows.ncols().min(*dimensions);
        Ok(rows.slice_move(s![.., ..columns]))
    }

    fn tokens(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        self.transformer.infer(inputs, |tokens| tokens.to_owned())
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
    /// Returns, for each text, its number of tokens before truncation, at least as far as they were
    /// counted, and whether it was truncated.
    #[must_use]
    pub fn token_counts(&self) -> Vec<(usize, bool)> {
        let count = |text: &PreparedText| match &text.state {
            TextState::Cached(entry) => (entry.total_tokens, entry.is_truncated),
            TextState::Tokenized(encoding) => (encoding.total_tokens, encoding.is_truncated()),
        };
        self.texts.iter().map(count).collect()
    }

    /// Returns, for each text, `Some(0)` if it has only special tokens. An empty text is never in the
    /// cache.
    #[must_use]
    pub fn empty_texts(&self) -> Vec<Option<usize>> {
        let empty = |text: &PreparedText| match &text.state {
            TextState::Cached(_) => None,
            TextState::Tokenized(encoding) => encoding.empty_text,
        };
        self.texts.iter().map(empty).collect()
    }
}

/// A text that is not in the cache.
struct Uncached {
    index: usize,
    total_tokens: usize,
    is_counted: bool,
    is_truncated: bool,
    is_empty: bool,
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
    /// truncated as `reading` says.
    ///
    /// # Errors
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn prepare<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        reading: Reading,
        cancel: &Cancel,
    ) -> Result<PreparedTexts, ModelError> {
        let started = Instant::now();
        let texts = texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                cancel.check()?;
                let failed = |source| ModelError::Tokenize { index, source };
                self.prepare_text(text, reading).map_err(failed)
            })
            .collect::<Result<_, _>>()?;
        Ok(PreparedTexts { texts, tokenize_time: started.elapsed() })
    }

    fn prepare_text(&self, text: &str, reading: Reading) -> Result<PreparedText, TokenizerError> {
        let key = self.is_cached.then(|| Key::new(text, reading));
        let cached = key.and_then(|key| self.cache().get(key).cloned());
        let encode = || self.tokenizer.read(text, reading);
        let state = match cached {
            Some(entry) if reading.count == Count::All && !entry.is_counted => {
                let total_tokens = encode()?.total_tokens;
                TextState::Cached(Entry { total_tokens, is_counted: true, ..entry })
            }
            Some(entry) => TextState::Cached(entry),
            None => TextState::Tokenized(encode()?),
        };
        Ok(PreparedText { key, state })
    }

    /// Returns texts that are given as token ids. They are not looked up in the cache.
    #[must_use]
    pub fn prepare_ids<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a [u32]>,
        reading: Reading,
    ) -> PreparedTexts {
        let started = Instant::now();
        let text = |ids| {
            let state = TextState::Tokenized(self.tokenizer.read_ids(ids, reading));
            PreparedText { key: None, state }
        };
        let texts = texts.into_iter().map(text).collect();
        PreparedTexts { texts, tokenize_time: started.elapsed() }
    }

    /// Returns the token embeddings of each text, `[tokens, hidden]`, f32, special tokens included: the
    /// output of the transformer. They do not depend on the other texts.
    ///
    /// # Errors
    /// - [`ModelError::Inference`] if the model fails on a batch.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn token_embeddings(
        &self,
        texts: Vec<Encoding>,
        cancel: &Cancel,
    ) -> Result<(Vec<Array2<f32>>, Cost), ModelError> {
        let started = Instant::now();
        let tokens: Vec<usize> = texts.iter().map(Encoding::tokens).collect();
        let run = self.scheduler.run_tokens(texts, cancel)?;
        let matrix = |(row, tokens): (Array1<f32>, usize)| {
            let hidden = row.len() / tokens.max(1);
            row.into_shape_with_order((tokens, hidden)).unwrap_or_default()
        };
        let texts = run.rows.into_iter().zip(tokens).map(matrix).collect();
        let cost = Cost {
            tokens: run.tokens,
            padded_tokens: run.tokens,
            passes: run.passes,
            queue_time: run.queue_time,
            infer_time: started.elapsed().saturating_sub(run.queue_time),
            ..Cost::default()
        };
        Ok((texts, cost))
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
                uncached.push(Uncached {
                    index,
                    total_tokens: encoding.total_tokens,
                    is_counted: encoding.is_counted,
                    is_truncated: encoding.is_truncated(),
                    is_empty: encoding.empty_text.is_some(),
                });
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
        for (text, pooled) in uncached.into_iter().zip(run.rows) {
            let Uncached { index, total_tokens, is_counted, is_truncated, is_empty } = text;
            let entry = Entry { pooled, total_tokens, is_counted, is_truncated };
            if let Some(key) = texts[index].key.filter(|_| !is_empty) {
                self.cache().put(key, entry.clone());
            }
            texts[index].state = TextState::Cached(entry);
        }
        Ok(cost)
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
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
