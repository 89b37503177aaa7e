//! The cross-encoder: pairs of texts to logits and scores. It reads both texts of a pair together.

use std::time::Instant;

use ndarray::{Array2, Axis};

use crate::cancel::Cancel;
use crate::cost::Cost;
use crate::error::ModelError;
use crate::options::Sequence;
use crate::runtime::{Infer, InferError, Inputs};
use crate::scheduler::{RowModel, Scheduler};
use crate::tokenizer::{Encoding, Reading, TextTokens, Tokenizer};
use crate::vector::Activation;

/// A cross-encoder for a bundle of the task `cross-encoder`: tokenizer, classifier and activation.
pub struct CrossEncoder {
    tokenizer: Tokenizer,
    scheduler: Scheduler,
    options: CrossEncoderOptions,
}

/// Options of a [`CrossEncoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEncoderOptions {
    /// Number of logits per pair.
    pub labels: usize,
    /// The function that converts a logit into a score.
    pub activation: Activation,
}

/// A classifier of pairs: `[pairs, labels]`.
pub struct LogitsModel<I> {
    classifier: I,
}

impl<I> LogitsModel<I> {
    /// Returns a model of this classifier.
    #[must_use]
    pub fn new(classifier: I) -> Self {
        Self { classifier }
    }
}

impl<I: Infer> RowModel for LogitsModel<I> {
    fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        self.classifier.infer(inputs, |logits| logits.to_owned())
    }
}

/// Logits of pairs and their cost.
#[derive(Clone, Debug, PartialEq)]
pub struct PairLogits {
    /// `[pairs, labels]`, f32.
    pub logits: Array2<f32>,
    /// Token counts and times.
    pub cost: Cost,
}

impl CrossEncoder {
    /// Returns a cross-encoder of these parts.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, scheduler: Scheduler, options: CrossEncoderOptions) -> Self {
        Self { tokenizer, scheduler, options }
    }

    /// Tokenizes each pair or single text. One beyond the limit is truncated, as `reading` says. A first text
    /// that follows itself is tokenized once.
    ///
    /// # Errors
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a pair.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn prepare<'a>(
        &self,
        items: impl IntoIterator<Item = Sequence<'a>>,
        reading: Reading,
        cancel: &Cancel,
    ) -> Result<Vec<Encoding>, ModelError> {
        let mut former: Option<(&str, TextTokens)> = None;
        let mut encode = |Sequence { first, second }: Sequence<'a>| {
            let Some(second) = second else {
                return self.tokenizer.read(first, reading);
            };
            let first = match former.take() {
                Some((text, tokens)) if text == first => (text, tokens),
                _ => (first, self.tokenizer.first_tokens(first, reading)?),
            };
            former = Some(first.clone());
            self.tokenizer.encode_second(first, second, reading)
        };
        let items = items.into_iter().enumerate();
        items
            .map(|(index, item)| {
                cancel.check()?;
                encode(item).map_err(|source| ModelError::Tokenize { index, source })
            })
            .collect()
    }

    /// Returns the logits of each pair, in input order. They do not depend on the other pairs.
    ///
    /// # Errors
    /// - [`ModelError::Inference`] if the model fails on a batch.
    /// - [`ModelError::Labels`] if the number of logits differs from the manifest.
    /// - [`ModelError::NotFinite`] if a logit is infinite or NaN.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn classify(
        &self,
        pairs: Vec<Encoding>,
        cancel: &Cancel,
    ) -> Result<PairLogits, ModelError> {
        let started = Instant::now();
        let run = self.scheduler.run(pairs, cancel)?;
        let mut logits = Array2::zeros((run.rows.len(), self.options.labels));
        for (index, (row, mut logits)) in run.rows.iter().zip(logits.outer_iter_mut()).enumerate() {
            let (labels, expected) = (row.len(), self.options.labels);
            if labels != expected {
                return Err(ModelError::Labels { labels, expected });
            }
            if row.iter().any(|logit| !logit.is_finite()) {
                return Err(ModelError::NotFinite { index });
            }
            logits.assign(row);
        }
        let cost = Cost {
            tokens: run.tokens,
            padded_tokens: run.tokens,
            passes: run.passes,
            queue_time: run.queue_time,
            infer_time: started.elapsed().saturating_sub(run.queue_time),
            ..Cost::default()
        };
        Ok(PairLogits { logits, cost })
    }

    /// Returns the activation of each logit, `[pairs, labels]`, f32.
    #[must_use]
    pub fn scores(&self, logits: Array2<f32>) -> Array2<f32> {
        logits.mapv_into(|logit| self.options.activation.apply(logit))
    }

    /// Whether the model returns one score per pair, so that it can rank texts.
    #[must_use]
    pub fn ranks(&self) -> bool {
        self.options.labels == 1
    }

    /// Returns the score of the first label of each pair, `[pairs]`, f32. It is the only score of a
    /// model that [ranks](Self::ranks).
    #[must_use]
    pub fn first_label(scores: &Array2<f32>) -> Vec<f32> {
        scores.index_axis(Axis(1), 0).to_vec()
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The maximum number of tokens of one pair, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }
}
