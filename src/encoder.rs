//! The bi-encoder: texts to embeddings, each text once.

mod cache;
mod lanes;

use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::infer::{InferError, Inputs};
use crate::text::{BatchPlan, Budget, Encoding, Tokenizer, TokenizerError};
use crate::vector::{DegenerateVector, Embeddings, Pooling, pool};

use cache::{Cache, Entry, Key};

pub use cache::CacheLimit;
pub use lanes::Lanes;

/// A tokenizer, a transformer and a way to pool: what a bundle of the task `embedding` describes;
/// and the vectors of the texts it saw last.
pub struct Encoder {
    tokenizer: Tokenizer,
    lanes: Lanes,
    options: EncoderOptions,
    cache: Cache,
}

/// What an [`Encoder`] does with its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderOptions {
    /// How token embeddings become one vector.
    pub pooling: Pooling,
    /// Whether the model's embeddings are of unit length.
    pub normalize: bool,
    /// How much one forward pass may hold.
    pub budget: Budget,
    /// How much may be remembered of texts seen before.
    pub cache: CacheLimit,
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
    /// Forward passes.
    pub batches: usize,
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
    #[error("the text of index {index} cannot be tokenised")]
    Tokenize {
        /// Index of the text among those given.
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
}

impl Encoder {
    /// Returns an encoder of these parts that knows no text yet.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, lanes: Lanes, options: EncoderOptions) -> Self {
        Self { tokenizer, lanes, options, cache: Cache::new(options.cache) }
    }

    /// Looks each text up, and tokenises those that are not known, cut to the model's limit.
    ///
    /// # Errors
    /// - [`EncodeError::Tokenize`] if the tokenizer fails on a text.
    pub fn prepare<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Prepared, EncodeError> {
        let started = Instant::now();
        let texts = texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                let failed = |source| EncodeError::Tokenize { index, source };
                self.prepare_text(text).map_err(failed)
            })
            .collect::<Result<_, _>>()?;
        Ok(Prepared { texts, tokenise_time: started.elapsed() })
    }

    fn prepare_text(&mut self, text: &str) -> Result<PreparedText, TokenizerError> {
        let key = self.cache.is_on().then(|| Key::of(text));
        let known = key.and_then(|key| self.cache.get(key)).cloned();
        let state = match known {
            Some(entry) => State::Known(entry),
            None => State::Tokenised(self.tokenizer.encode(text)?),
        };
        Ok(PreparedText { key, state })
    }

    /// Returns one pooled vector a text, in the order given; a vector does not depend on the
    /// other texts.
    ///
    /// # Errors
    /// - [`EncodeError::Infer`] if the model fails on a batch.
    pub fn encode(&mut self, prepared: Prepared) -> Result<Encoded, EncodeError> {
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
        Ok(Encoded { pooled, cost: EncodeCost { infer_time: started.elapsed(), ..cost } })
    }

    /// Puts the vectors of the texts that are not known through the model, in batches, and
    /// remembers them.
    fn complete(&mut self, texts: &mut [PreparedText]) -> Result<EncodeCost, EncodeError> {
        let unknown: Vec<(usize, Encoding)> = texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| match &text.state {
                State::Tokenised(encoding) => Some((index, encoding.clone())),
                State::Known(_) => None,
            })
            .collect();
        let lengths: Vec<usize> = unknown.iter().map(|(_, text)| text.input_ids.len()).collect();
        let budget = self.options.budget.shared_by(self.lanes.count(), lengths.iter().sum());
        let plan = BatchPlan::new(&lengths, budget);
        let pooled = self.lanes.run(&plan.batches, |lane, batch| {
            let rows = batch.texts.iter().map(|&text| unknown[text].1.input_ids.as_slice());
            let inputs = Inputs::padded(rows, batch.width);
            let tokens = lane.token_embeddings(&inputs)?;
            let row_lengths: Vec<usize> = batch.texts.iter().map(|&text| lengths[text]).collect();
            Ok(pool(tokens.view(), &row_lengths, self.options.pooling))
        })?;
        for (batch, vectors) in plan.batches.iter().zip(pooled) {
            for (vector, &text) in vectors.outer_iter().zip(&batch.texts) {
                let (index, encoding) = &unknown[text];
                let entry = Entry {
                    pooled: vector.to_owned(),
                    total_tokens: encoding.total_tokens,
                    is_truncated: encoding.is_truncated(),
                };
                if let Some(key) = texts[*index].key {
                    self.cache.put(key, entry.clone());
                }
                texts[*index].state = State::Known(entry);
            }
        }
        Ok(EncodeCost {
            cache_hits: texts.len() - unknown.len(),
            tokens: lengths.iter().sum(),
            padded_tokens: plan.padded_tokens(),
            batches: plan.batches.len(),
            ..EncodeCost::default()
        })
    }

    /// Returns the vectors as the model is meant to give them, `[texts, dim]`: of unit length if
    /// its bundle says so, as pooled if not.
    ///
    /// # Errors
    /// - [`EncodeError::Degenerate`] if a vector that must be normalised has no direction.
    pub fn finish(&self, encoded: Encoded) -> Result<Array2<f32>, EncodeError> {
        if !self.options.normalize {
            return Ok(encoded.pooled);
        }
        Ok(Embeddings::from_pooled(encoded.pooled)?.into_rows())
    }

    /// The most tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }
}
