//! Start-up: a bundle, a library and options to a service, side by side where they can.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::api::Limits;
use crate::bundle::{Bundle, BundleError, Task, WordEmbeddings};
use crate::config::{Config, ConfigError};
use crate::encoder::{CacheLimit, Encoder, EncoderOptions, Lanes};
use crate::infer::{Infer, InferError, OnnxRuntime, OnnxSession};
use crate::service::{Service, ServiceError};
use crate::text::{Budget, Tokenizer, TokenizerError, TokenizerLimits};
use crate::vector::Pooling;

/// What a service is made of.
#[derive(Clone, Copy, Debug)]
pub struct InitOptions<'a> {
    /// The bundle's folder.
    pub bundle: &'a Path,
    /// The ONNX Runtime library.
    pub ort_library: &'a Path,
    /// Bounds of one request.
    pub limits: Limits,
    /// How much one forward pass may hold.
    pub budget: Budget,
    /// How much may be remembered of texts seen before.
    pub cache: CacheLimit,
    /// Forward passes at a time, each with a session on a thread of its own.
    pub threads: NonZeroUsize,
    /// Whether to run the model once, so that the first event finds it touched. It costs an event
    /// that waits already about what it would save it.
    pub warm_up: bool,
}

impl<'a> InitOptions<'a> {
    /// Returns what the environment asks for.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if it names no bundle.
    pub fn from_config(config: &'a Config) -> Result<Self, ConfigError> {
        Ok(Self {
            bundle: config.require_bundle()?,
            ort_library: &config.ort_library,
            limits: config.limits,
            budget: config.budget,
            cache: config.cache,
            threads: config.threads,
            warm_up: config.warm_up,
        })
    }
}

/// How long each step of the start took. Tokenizer and page-in run beside library and session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitTimings {
    /// Manifest read, files checked.
    pub bundle: Duration,
    /// Tokenizer parsed.
    pub tokenizer: Duration,
    /// Weights asked for.
    pub page_in: Duration,
    /// ONNX Runtime loaded, environment made.
    pub library: Duration,
    /// Graph loaded, weights mapped and packed.
    pub session: Duration,
    /// First inference, if asked for.
    pub warm_up: Duration,
    /// All of it.
    pub total: Duration,
}

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The environment is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bundle is at fault.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle's tokenizer is at fault.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The library or the bundle's graph is at fault.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The model loads but does not work.
    #[error("the model cannot embed an ordinary text")]
    WarmUp(#[source] ServiceError),
}

impl InitError {
    /// Every code that [`InitError::code`] can return.
    pub const CODES: [&'static str; 15] = [
        "config.missing",
        "config.invalid",
        "bundle.folder_missing",
        "bundle.file_missing",
        "bundle.size_mismatch",
        "bundle.invalid_manifest",
        "bundle.wrong_task",
        "bundle.unreadable",
        "bundle.invalid_tokenizer",
        "bundle.invalid_graph",
        "library.not_loaded",
        "library.too_old",
        "library.not_started",
        "model.inference_failed",
        "model.warm_up_failed",
    ];

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Tokenizer(_) => "bundle.invalid_tokenizer",
            Self::Infer(
                InferError::LibraryNotLoaded { .. } | InferError::AnotherLibrary { .. },
            ) => "library.not_loaded",
            Self::Infer(InferError::LibraryTooOld { .. }) => "library.too_old",
            Self::Infer(InferError::Environment(_)) => "library.not_started",
            Self::Infer(InferError::Session { .. } | InferError::Contract { .. }) => {
                "bundle.invalid_graph"
            }
            Self::Infer(
                InferError::UnknownToken(_) | InferError::Run { .. } | InferError::Shape { .. },
            ) => "model.inference_failed",
            Self::WarmUp(_) => "model.warm_up_failed",
        }
    }
}

/// Starts a service: bundle checked, model loaded and, if asked for, run once.
///
/// # Errors
/// - [`InitError`], one variant for each part that can be at fault.
pub fn start(options: &InitOptions<'_>) -> Result<(Service, InitTimings), InitError> {
    let started = Instant::now();
    let (bundle, bundle_time) = timed(|| Bundle::open(options.bundle)?.for_task(Task::Embedding))?;
    let manifest = bundle.manifest();
    let words = bundle.word_embeddings()?;
    let (tokenizer, page_in, model) = thread::scope(|scope| {
        let tokenizer = scope.spawn(|| {
            timed(|| {
                let (rules, words) = (&manifest.files.tokenizer, &manifest.files.vocabulary);
                let limits = TokenizerLimits {
                    max_tokens: manifest.max_tokens,
                    vocabulary_size: manifest.vocabulary_size,
                };
                Tokenizer::from_files(&bundle.path_of(rules), &bundle.path_of(words), limits)
            })
        });
        let page_in = scope.spawn(|| timed(|| bundle.page_in()));
        let model = load_model(&bundle, words, options);
        (join(tokenizer), join(page_in), model)
    });
    let ((lanes, library_time, session_time), (tokenizer, tokenizer_time)) = (model?, tokenizer?);
    let ((), page_in_time) = page_in?;
    let encoder_options = EncoderOptions {
        pooling: manifest.pooling.unwrap_or(Pooling::Mean),
        normalize: manifest.normalize.unwrap_or(true),
        budget: options.budget,
        cache: options.cache,
    };
    let encoder = Encoder::new(tokenizer, lanes, encoder_options);
    let mut service = Service::new(encoder, options.limits);
    let ((), warm_up_time) = timed(|| if options.warm_up { service.warm_up() } else { Ok(()) })
        .map_err(InitError::WarmUp)?;
    let timings = InitTimings {
        bundle: bundle_time,
        tokenizer: tokenizer_time,
        page_in: page_in_time,
        library: library_time,
        session: session_time,
        warm_up: warm_up_time,
        total: started.elapsed(),
    };
    Ok((service, timings))
}

fn load_model(
    bundle: &Bundle,
    words: WordEmbeddings,
    options: &InitOptions<'_>,
) -> Result<(Lanes, Duration, Duration), InferError> {
    let (runtime, library_time) = timed(|| OnnxRuntime::load(options.ort_library))?;
    let graph = bundle.path_of(&bundle.manifest().files.graph);
    let words = Arc::new(words);
    let load = || {
        let session = OnnxSession::load(&runtime, &graph, Arc::clone(&words))?;
        Ok::<Box<dyn Infer>, InferError>(Box::new(session))
    };
    let (lanes, session_time) = timed(|| {
        thread::scope(|scope| {
            let others: Vec<_> = (1..options.threads.get()).map(|_| scope.spawn(load)).collect();
            let first = load()?;
            let others = others.into_iter().map(join).collect::<Result<_, _>>()?;
            Ok::<_, InferError>(Lanes::new(first, others))
        })
    })?;
    Ok((lanes, library_time, session_time))
}

fn timed<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let started = Instant::now();
    step().map(|value| (value, started.elapsed()))
}

/// Returns what the thread returned; a panic goes on in this thread.
fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
