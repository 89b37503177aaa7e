//! The bi-encoder: texts to embeddings.

use std::time::{Duration, Instant};

use ndarray::{Array2, Axis};

use crate::infer::{Infer, InferError, Inputs};
use crate::text::{BatchPlan, Budget, Encoding, Tokenizer, TokenizerError};
use crate::vector::{DegenerateVector, Embeddings, Pooling, pool};

/// A tokenizer, a transformer and a way to pool: what a bundle of the task `embedding` describes.
pub struct Encoder {
    tokenizer: Tokenizer,
    infer: Box<dyn Infer>,
    options: EncoderOptions,
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
    /// Tokens of the texts, special tokens counted, as far as the model read them.
    pub tokens: usize,
    /// The same with padding.
    pub padded_tokens: usize,
    /// Forward passes.
    pub batches: usize,
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
    /// Returns an encoder of these parts.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, infer: Box<dyn Infer>, options: EncoderOptions) -> Self {
        Self { tokenizer, infer, options }
    }

    /// Returns the token ids of each text, in order, each cut to the model's limit.
    ///
    /// # Errors
    /// - [`EncodeError::Tokenize`] if the tokenizer fails on a text.
    pub fn tokenize<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Encoding>, EncodeError> {
        texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                let failed = |source| EncodeError::Tokenize { index, source };
                self.tokenizer.encode(text).map_err(failed)
            })
            .collect()
    }

    /// Returns one pooled vector a text, in the order given; a vector does not depend on the
    /// other texts.
    ///
    /// # Errors
    /// - [`EncodeError::Infer`] if the model fails on a batch.
    pub fn encode(&mut self, encodings: &[Encoding]) -> Result<Encoded, EncodeError> {
        let started = Instant::now();
        let lengths: Vec<usize> = encodings.iter().map(|text| text.input_ids.len()).collect();
        let plan = BatchPlan::new(&lengths, self.options.budget);
        let mut pooled = Array2::zeros((encodings.len(), 0));
        for batch in &plan.batches {
            let texts = batch.texts.iter().map(|&text| encodings[text].input_ids.as_slice());
            let inputs = Inputs::padded(texts, batch.width);
            let tokens = self.infer.token_embeddings(&inputs)?;
            let batch_lengths: Vec<usize> = batch.texts.iter().map(|&text| lengths[text]).collect();
            let vectors = pool(tokens.view(), &batch_lengths, self.options.pooling);
            if pooled.ncols() == 0 {
                pooled = Array2::zeros((encodings.len(), vectors.ncols()));
            }
            for (vector, &text) in vectors.axis_iter(Axis(0)).zip(&batch.texts) {
                pooled.row_mut(text).assign(&vector);
            }
        }
        let cost = EncodeCost {
            tokens: lengths.iter().sum(),
            padded_tokens: plan.padded_tokens(),
            batches: plan.batches.len(),
            infer_time: started.elapsed(),
        };
        Ok(Encoded { pooled, cost })
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
