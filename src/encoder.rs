//! The bi-encoder: texts to embeddings, each text once.

mod cache;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{Array2, Array3};

use crate::infer::{Infer, InferError, Inputs};
use crate::lanes::{Lane, Lanes};
use crate::text::{Encoding, Side, Token, Tokenizer, TokenizerError};
use crate::vector::{DegenerateVector, Pooling, pool};

use cache::{Cache, Entry, Key};

pub use cache::CacheLimit;

/// A tokenizer, a transformer and a way to pool: what a bundle of the task `embedding` describes;
/// and the vectors of the texts it saw last.
pub struct Encoder {
    tokenizer: Tokenizer,
    lanes: Lanes,
    cache: Mutex<Cache>,
    remembers: bool,
}

/// A transformer whose token embeddings are pooled: texts to vectors `[batch, dim]`.
pub struct PooledLane<I> {
    transformer: I,
    pooling: Pooling,
}

impl<I> PooledLane<I> {
    /// Returns a lane of this transformer.
    #[must_use]
    pub fn new(transformer: I, pooling: Pooling) -> Self {
        Self { transformer, pooling }
    }
}

impl<I: Infer<Output = Array3<f32>>> Lane for PooledLane<I> {
    fn rows(&mut self, inputs: &Inputs, lengths: &[usize]) -> Result<Array2<f32>, InferError> {
        let tokens = self.transformer.infer(inputs)?;
        Ok(pool(tokens.view(), lengths, self.pooling))
    }
}

/// Texts ready for the model: tokenised, or known from before.
#[derive(Clone, Debug)]
pub struct Prepared {
    texts: Vec<PreparedText>,
    tokenise_time: Duration,
}

#[derive(Clone, Debug)]
struct PreparedText {
    key: Option<Key>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Known(Entry),
    Tokenised(Encoding),
}

impl Prepared {
    /// Tokens of text `index` before any cut, special tokens counted.
    ///
    /// # Panics
    /// If there is no such text.
    #[must_use]
    pub fn total_tokens(&self, index: usize) -> usize {
        match &self.texts[index].state {
            State::Known(entry) => entry.total_tokens,
            State::Tokenised(encoding) => encoding.total_tokens,
        }
    }

    /// Whether text `index` is cut to the model's limit.
    ///
    /// # Panics
    /// If there is no such text.
    #[must_use]
    pub fn is_truncated(&self, index: usize) -> bool {
        match &self.texts[index].state {
            State::Known(entry) => entry.is_truncated,
            State::Tokenised(encoding) => encoding.is_truncated(),
        }
    }
}

/// Pooled vectors of texts, `[texts, dim]`, f32, not normalised, and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The vectors, in the order of the texts.
    pub pooled: Array2<f32>,
    /// What was read and how long it took.
    pub cost: EncodeCost,
}

/// What it took to encode texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodeCost {
    /// Texts whose vectors were known from before.
    pub cache_hits: usize,
    /// Tokens of the others, special tokens counted, as far as the model read them.
    pub tokens: usize,
    /// The same with padding.
    pub padded_tokens: usize,
    /// Forward passes, as planned.
    pub batches: usize,
    /// Time until the model was free.
    pub queue_time: Duration,
    /// Time in the tokenizer and in the look-up of what is known.
    pub tokenise_time: Duration,
    /// Time in the model and in pooling.
    pub infer_time: Duration,
}

/// Why texts could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The tokenizer failed on a text.
    #[error("the text or pair of index {index} cannot be tokenised")]
    Tokenize {
        /// Index of the text or pair among those given.
        index: usize,
        /// What the tokenizer says.
        source: TokenizerError,
    },
    /// The model failed.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The model gave a vector without direction.
    #[error(transparent)]
    Degenerate(#[from] DegenerateVector),
    /// A cross-encoder gave a logit that is no score.
    #[error("a logit of the pair of index {index} is not finite")]
    NotFinite {
        /// Index of the pair among those given.
        index: usize,
    },
    /// A cross-encoder gave another number of logits than its bundle says.
    #[error("the model gave {labels} logits for a pair, its bundle says {expected}")]
    Labels {
        /// Logits found.
        labels: usize,
        /// Logits by the manifest.
        expected: usize,
    },
}

impl Encoder {
    /// Returns an encoder of these parts that knows no text yet.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, lanes: Lanes, cache: CacheLimit) -> Self {
        let cache = Cache::new(cache);
        let remembers = cache.is_on();
        Self { tokenizer, lanes, cache: Mutex::new(cache), remembers }
    }

    /// Looks each text up, and tokenises those that are not known, cut on one side to the model's
    /// limit.
    ///
    /// # Errors
    /// - [`EncodeError::Tokenize`] if the tokenizer fails on a text.
    pub fn prepare<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        side: Side,
    ) -> Result<Prepared, EncodeError> {
        let started = Instant::now();
        let texts = texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                let failed = |source| EncodeError::Tokenize { index, source };
                self.prepare_text(text, side).map_err(failed)
            })
            .collect::<Result<_, _>>()?;
        Ok(Prepared { texts, tokenise_time: started.elapsed() })
    }

    fn prepare_text(&self, text: &str, side: Side) -> Result<PreparedText, TokenizerError> {
        let key = self.remembers.then(|| Key::of(text, side));
        let known = key.and_then(|key| self.cache().get(key).cloned());
        let state = match known {
            Some(entry) => State::Known(entry),
            None => State::Tokenised(self.tokenizer.encode(text, side)?),
        };
        Ok(PreparedText { key, state })
    }

    /// Returns one pooled vector a text, in the order given; a vector does not depend on the
    /// other texts.
    ///
    /// # Errors
    /// - [`EncodeError::Infer`] if the model fails on a batch.
    pub fn encode(&self, prepared: Prepared) -> Result<Encoded, EncodeError> {
        let started = Instant::now();
        let Prepared { mut texts, tokenise_time } = prepared;
        let cost = EncodeCost { tokenise_time, ..self.complete(&mut texts)? };
        let rows: Vec<_> = texts
            .iter()
            .filter_map(|text| match &text.state {
                State::Known(entry) => Some(entry.pooled.view()),
                State::Tokenised(_) => None,
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
        let infer_time = started.elapsed().saturating_sub(cost.queue_time);
        Ok(Encoded { pooled, cost: EncodeCost { infer_time, ..cost } })
    }

    /// Puts the vectors of the texts that are not known through the model, in batches, and
    /// remembers them.
    fn complete(&self, texts: &mut [PreparedText]) -> Result<EncodeCost, EncodeError> {
        let (mut unknown, mut encodings) = (Vec::new(), Vec::new());
        for (index, text) in texts.iter_mut().enumerate() {
            if let State::Tokenised(encoding) = &mut text.state {
                unknown.push((index, encoding.total_tokens, encoding.is_truncated()));
                encodings.push(std::mem::take(encoding));
            }
        }
        let tokens = encodings.iter().map(|text| text.input_ids.len()).sum();
        let run = self.lanes.run(encodings)?;
        let cost = EncodeCost {
            cache_hits: texts.len() - unknown.len(),
            tokens,
            padded_tokens: run.padded_tokens,
            batches: run.batches,
            queue_time: run.queue_time,
            ..EncodeCost::default()
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

    /// The most tokens of one forward pass, padding counted.
    #[must_use]
    pub fn batch_tokens(&self) -> usize {
        self.lanes.budget().padded_tokens
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
