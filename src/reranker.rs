//! The cross-encoder: pairs of texts to scores, each pair read together.

use std::time::{Duration, Instant};

use ndarray::{Array2, Axis};

use crate::encoder::EncodeError;
use crate::infer::{Infer, InferError, Inputs};
use crate::lanes::{Lane, Lanes};
use crate::text::{Encoding, Side, Tokenizer};
use crate::vector::Activation;

/// A tokenizer, a classifier and what makes scores of its logits: what a bundle of the task
/// `cross-encoder` describes.
pub struct Reranker {
    tokenizer: Tokenizer,
    lanes: Lanes,
    options: RerankerOptions,
}

/// What a [`Reranker`] does with its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RerankerOptions {
    /// Logits a pair.
    pub labels: usize,
    /// What makes a score of a logit.
    pub activation: Activation,
}

/// A classifier of pairs: `[batch, labels]`.
pub struct LogitsLane<I> {
    classifier: I,
}

impl<I> LogitsLane<I> {
    /// Returns a lane of this classifier.
    #[must_use]
    pub fn new(classifier: I) -> Self {
        Self { classifier }
    }
}

impl<I: Infer<Output = Array2<f32>>> Lane for LogitsLane<I> {
    fn rows(&mut self, inputs: &Inputs, _lengths: &[usize]) -> Result<Array2<f32>, InferError> {
        self.classifier.infer(inputs)
    }
}

/// Logits of pairs, and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    /// `[pairs, labels]`, f32.
    pub logits: Array2<f32>,
    /// Tokens that were read, special tokens counted.
    pub tokens: usize,
    /// The same with padding.
    pub padded_tokens: usize,
    /// Time until the model was free.
    pub queue_time: Duration,
    /// Time in the model.
    pub infer_time: Duration,
}

impl Reranker {
    /// Returns a reranker of these parts.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, lanes: Lanes, options: RerankerOptions) -> Self {
        Self { tokenizer, lanes, options }
    }

    /// Tokenises each pair, cut on one side to the model's limit.
    ///
    /// # Errors
    /// - [`EncodeError::Tokenize`] if the tokenizer fails on a pair.
    pub fn prepare<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        side: Side,
    ) -> Result<Vec<Encoding>, EncodeError> {
        let pairs = pairs.into_iter().enumerate();
        pairs
            .map(|(index, (first, second))| {
                let failed = |source| EncodeError::Tokenize { index, source };
                self.tokenizer.encode_pair(first, second, side).map_err(failed)
            })
            .collect()
    }

    /// Returns the logits of each pair, in the order given; they do not depend on the other pairs.
    ///
    /// # Errors
    /// - [`EncodeError::Infer`] if the model fails on a batch.
    /// - [`EncodeError::Labels`] if it gives another number of logits than the bundle says.
    /// - [`EncodeError::NotFinite`] if a logit is infinite or no number.
    pub fn classify(&self, pairs: Vec<Encoding>) -> Result<Classified, EncodeError> {
        let started = Instant::now();
        let tokens = pairs.iter().map(|pair| pair.input_ids.len()).sum();
        let run = self.lanes.run(pairs)?;
        let mut logits = Array2::zeros((run.rows.len(), self.options.labels));
        for (index, (row, mut logits)) in run.rows.iter().zip(logits.outer_iter_mut()).enumerate() {
            let (labels, expected) = (row.len(), self.options.labels);
            if labels != expected {
                return Err(EncodeError::Labels { labels, expected });
            }
            if row.iter().any(|logit| !logit.is_finite()) {
                return Err(EncodeError::NotFinite { index });
            }
            logits.assign(row);
        }
        let infer_time = started.elapsed().saturating_sub(run.queue_time);
        let (padded_tokens, queue_time) = (run.padded_tokens, run.queue_time);
        Ok(Classified { logits, tokens, padded_tokens, queue_time, infer_time })
    }

    /// Returns scores of logits, `[pairs, labels]`, as the model's bundle says.
    #[must_use]
    pub fn scores(&self, logits: Array2<f32>) -> Array2<f32> {
        logits.mapv_into(|logit| self.options.activation.of(logit))
    }

    /// Whether it gives one score a pair, and so an order.
    #[must_use]
    pub fn ranks(&self) -> bool {
        self.options.labels == 1
    }

    /// Returns the first score of each pair: the only one of a reranker that [ranks](Self::ranks).
    #[must_use]
    pub fn only(scores: &Array2<f32>) -> Vec<f32> {
        scores.index_axis(Axis(1), 0).to_vec()
    }

    /// The most tokens of one pair, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }
}
