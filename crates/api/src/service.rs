//! The models with the limits of their requests.

use std::num::NonZeroUsize;

use semblance::Model;

use crate::{About, Limits};

/// The models with the limits of their requests.
pub struct Service {
    model: Model,
    limits: Limits,
    about: About,
}

/// What a service reports beside its models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Limits of one request.
    pub limits: Limits,
    /// Most tokens of one forward pass.
    pub batch_tokens: usize,
    /// Requests that are processed at a time.
    pub concurrency: NonZeroUsize,
}

impl Service {
    /// Returns a service over a model.
    #[must_use]
    pub fn new(model: Model, options: ServiceOptions) -> Self {
        let about = About::new(&model, options);
        Self { model, limits: options.limits, about }
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
