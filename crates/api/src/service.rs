//! A service: the models and the limits of requests.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use semblance::corpus::Catalog;
use semblance::{Cancel, Model};

use crate::{About, Limits};

/// The models and the limits of requests.
pub struct Service {
    model: Model,
    limits: Limits,
    about: Arc<About>,
    indexes: Option<Arc<Catalog>>,
    reply_bytes: usize,
}

/// The limits that a service applies and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Limits of one request.
    pub limits: Limits,
    /// Maximum number of tokens of one forward pass, padding included.
    pub batch_tokens: usize,
    /// Maximum number of concurrent requests.
    pub concurrency: NonZeroUsize,
}

impl Service {
    /// Returns a service for a model.
    #[must_use]
    pub fn new(model: Model, options: ServiceOptions) -> Self {
        let about = Arc::new(About::new(&model, options));
        let limits = Limits { predicts: !model.embeds(), ..options.limits };
        Self { model, limits, about, indexes: None, reply_bytes: usize::MAX }
    }

    /// Returns this service with the indexes in a folder, if there is one. They are opened when they
    /// are first searched.
    #[must_use]
    pub fn with_indexes(self, folder: Option<PathBuf>) -> Self {
        let about = About { has_indexes: folder.is_some(), ..About::clone(&self.about) };
        let indexes = folder.map(Catalog::new).map(Arc::new);
        Self { indexes, about: Arc::new(about), ..self }
    }

    /// Returns this service with a limit on the size of a response. A response that grows with the texts
    /// is refused while it is written.
    #[must_use]
    pub fn with_reply_bytes(self, reply_bytes: usize) -> Self {
        Self { reply_bytes, ..self }
    }

    /// Maximum size of a response in bytes.
    #[must_use]
    pub(crate) fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// The indexes, if a folder is configured.
    #[must_use]
    pub fn indexes(&self) -> Option<&Catalog> {
        self.indexes.as_deref()
    }

    /// Returns this service for calls that a flag can cancel.
    pub(crate) fn with_cancel(&self, cancel: Cancel) -> Self {
        let (model, about) = (self.model.with_cancel(cancel), Arc::clone(&self.about));
        let (limits, reply_bytes) = (self.limits, self.reply_bytes);
        Self { model, limits, about, indexes: self.indexes.clone(), reply_bytes }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Limits of one request.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Models, limits and version.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }
}
