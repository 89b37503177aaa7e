//! A loaded model and its operations.

mod pairs;
mod rerank_parts;
mod texts;
mod token_embeddings;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::cross_encoder::CrossEncoder;
use crate::encoder::Encoder;
use crate::error::{LoadError, ModelError};
use crate::info::{CrossEncoderInfo, LoadTimings, ModelInfo};
use crate::load::{check, load};
use crate::options::Options;
use crate::tokenizer::{Reading, Tokenizer};
use crate::vector::Embeddings;

/// An embedding model, a cross-encoder, or both, ready to run.
///
/// A model can be shared between threads. Calls from several threads share forward passes. Clones share
/// the model.
#[derive(Clone)]
pub struct Model {
    parts: Arc<Parts>,
    timings: LoadTimings,
    cancel: Cancel,
}

/// What the clones of a model share.
struct Parts {
    encoder: Option<Encoder>,
    cross_encoder: Option<(CrossEncoder, CrossEncoderInfo)>,
    info: ModelInfo,
}

impl Model {
    /// Loads the bundle in a folder. `make model` builds such a folder.
    ///
    /// # Errors
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn load(bundle: impl AsRef<Path>, options: Options) -> Result<Self, LoadError> {
        load(Some(bundle.as_ref()), &options)
    }

    /// Loads only the cross-encoder of the options, for [`Model::rerank`] and [`Model::predict`].
    /// Other calls fail with [`ModelError::NoEmbeddingModel`]; tokenization uses its tokenizer.
    ///
    /// # Errors
    /// - [`LoadError::NoBundle`] if the options have no cross-encoder.
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn load_cross_encoder(options: Options) -> Result<Self, LoadError> {
        load(None, &options)
    }

    /// Loads a bundle, and runs its model on a text of the maximum length. The bundle can be an embedding
    /// model or a cross-encoder; `options.cross_encoder` is not used.
    ///
    /// # Errors
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn check(bundle: impl AsRef<Path>, options: &Options) -> Result<(), LoadError> {
        check(bundle.as_ref(), options)
    }

    /// Returns a model of these parts.
    #[must_use]
    pub fn new(
        encoder: impl Into<Option<Encoder>>,
        cross_encoder: Option<(CrossEncoder, CrossEncoderInfo)>,
        info: ModelInfo,
    ) -> Self {
        let parts = Arc::new(Parts { encoder: encoder.into(), cross_encoder, info });
        Self { parts, timings: LoadTimings::default(), cancel: Cancel::default() }
    }

    pub(crate) fn with_timings(self, timings: LoadTimings) -> Self {
        Self { timings, ..self }
    }

    /// Returns this model for calls that a flag can cancel.
    ///
    /// # Examples
    /// ```no_run
    /// use semblance::{Cancel, Model, ModelError, Options};
    ///
    /// let model = Model::load("build/model/default", Options::default())?;
    /// let cancel = Cancel::default();
    /// cancel.cancel();
    /// let result = model.with_cancel(cancel).embed(&["a text"]);
    /// assert!(matches!(result, Err(ModelError::Canceled(_))));
    /// # Ok::<(), semblance::LoadError>(())
    /// ```
    #[must_use]
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self { cancel, ..self.clone() }
    }

    /// How long each step of loading took.
    #[must_use]
    pub fn timings(&self) -> LoadTimings {
        self.timings
    }

    /// Whether there is an embedding model.
    #[must_use]
    pub fn embeds(&self) -> bool {
        self.parts.encoder.is_some()
    }

    /// The embedding model. Without one, it describes the cross-encoder, and has no dimensions and no
    /// prompts.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.parts.info
    }

    /// The cross-encoder, if there is one.
    #[must_use]
    pub fn cross_encoder(&self) -> Option<&CrossEncoderInfo> {
        self.parts.cross_encoder.as_ref().map(|(_, info)| info)
    }

    /// Runs each model once, so that its pages are in memory before the next call.
    ///
    /// # Errors
    /// - [`ModelError`] if a model fails on an ordinary text.
    pub fn warm_up(&self) -> Result<(), ModelError> {
        let text = "one two three four five six seven";
        if let Some(encoder) = &self.parts.encoder {
            let prepared = encoder.prepare([text], Reading::DEFAULT, &self.cancel)?;
            Embeddings::from_pooled(encoder.encode(prepared, &self.cancel)?.pooled)?;
        }
        if let Some((cross_encoder, _)) = &self.parts.cross_encoder {
            let pairs =
                cross_encoder.prepare([(text, text).into()], Reading::DEFAULT, &self.cancel)?;
            cross_encoder.classify(pairs, &self.cancel)?;
        }
        Ok(())
    }

    /// The embedding model.
    fn encoder(&self) -> Result<&Encoder, ModelError> {
        self.parts.encoder.as_ref().ok_or(ModelError::NoEmbeddingModel)
    }

    /// The tokenizer of the embedding model, or else that of the cross-encoder.
    fn tokenizer(&self) -> Result<&Tokenizer, ModelError> {
        let pairs =
            self.parts.cross_encoder.as_ref().map(|(cross_encoder, _)| cross_encoder.tokenizer());
        let own = self.parts.encoder.as_ref().map(Encoder::tokenizer);
        own.or(pairs).ok_or(ModelError::NoEmbeddingModel)
    }
}

/// Returns the number of characters of texts.
fn characters<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).sum()
}
