//! Models and services on real bundles.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use semblance::internals::tokenizer::{Tokenizer, TokenizerLimits};
use semblance::{Model, Options};
use semblance_api::{Limits, Service, ServiceOptions};

use crate::{bundle, indexes, library};

/// Returns a service on the default bundle, with one thread; one for all tests of a process.
pub fn service() -> &'static Arc<Service> {
    static SERVICE: OnceLock<Arc<Service>> = OnceLock::new();
    SERVICE.get_or_init(|| Arc::new(service_of(load(&bundle(), None, NonZeroUsize::MIN))))
}

/// Loads a bundle, and optionally that of a cross-encoder. The cache is off: a test of the model
/// must not be answered from it.
///
/// # Panics
/// If it cannot be loaded.
#[must_use]
pub fn load(bundle: &Path, cross_encoder: Option<&Path>, threads: NonZeroUsize) -> Model {
    let options = Options {
        library: library(),
        cross_encoder: cross_encoder.map(Path::to_path_buf),
        threads,
        cache_bytes: 0,
        ..Options::default()
    };
    Model::load(bundle, options).unwrap()
}

/// Returns a service over a model, with the default limits and the index `docs`.
#[must_use]
pub fn service_of(model: Model) -> Service {
    let options = ServiceOptions {
        limits: Limits::default(),
        batch_tokens: Options::default().batch_tokens,
        concurrency: NonZeroUsize::MIN,
    };
    let folder = indexes(&model);
    Service::new(model, options).with_indexes(Some(folder))
}

/// Returns the tokenizer of the default bundle, for a model that reads this many tokens.
///
/// # Panics
/// If it cannot be loaded.
#[must_use]
pub fn tokenizer(max_tokens: usize) -> Tokenizer {
    let (rules, words) = (bundle().join("tokenizer.json"), bundle().join("vocabulary.txt"));
    let limits = TokenizerLimits { max_tokens, vocabulary_size: 30_522 };
    Tokenizer::from_files(&rules, &words, limits).unwrap()
}
