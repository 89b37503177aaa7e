//! Start-up: a bundle, a library and options to a service, side by side where they can.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ndarray::{Ix2, Ix3};

use crate::api::{About, AboutCrossEncoder, Limits, ModelType};
use crate::bundle::{Bundle, BundleError, Manifest, Task};
use crate::config::{Config, ConfigError};
use crate::encoder::{CacheLimit, Encoder, PooledLane};
use crate::infer::{GraphOutput, InferError, OnnxRuntime, OnnxSession};
use crate::lanes::{Lane, Lanes};
use crate::reranker::{LogitsLane, Reranker, RerankerOptions};
use crate::service::{Service, ServiceError, ServiceOptions};
use crate::text::{Budget, Tokenizer, TokenizerError, TokenizerLimits};
use crate::vector::{Activation, Pooling};

/// What a service is made of.
#[derive(Clone, Copy, Debug)]
pub struct InitOptions<'a> {
    /// The folder of the embedding model's bundle.
    pub bundle: &'a Path,
    /// The folder of the cross-encoder's bundle, if there is to be one.
    pub cross_encoder: Option<&'a Path>,
    /// The ONNX Runtime library.
    pub ort_library: &'a Path,
    /// Bounds of one request.
    pub limits: Limits,
    /// How much one forward pass may hold.
    pub budget: Budget,
    /// How much may be remembered of texts seen before.
    pub cache: CacheLimit,
    /// Forward passes of a model at a time, each with a session of its own.
    pub threads: NonZeroUsize,
    /// Requests that are worked on at a time; only told.
    pub concurrency: NonZeroUsize,
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
            cross_encoder: config.cross_encoder.as_deref(),
            ort_library: &config.ort_library,
            limits: config.limits,
            budget: config.budget,
            cache: config.cache,
            threads: config.threads,
            concurrency: config.concurrency,
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

/// Starts a service: bundles checked, models loaded and, if asked for, run once.
///
/// # Errors
/// - [`InitError`], one variant for each part that can be at fault.
pub fn start(options: &InitOptions<'_>) -> Result<(Service, InitTimings), InitError> {
    let started = Instant::now();
    let open = |folder, task| timed(|| Bundle::open(folder)?.for_task(task));
    let (bundle, bundle_time) = open(options.bundle, Task::Embedding)?;
    let cross_encoder = options.cross_encoder.map(|folder| open(folder, Task::CrossEncoder));
    let cross_encoder = cross_encoder.transpose()?.map(|(bundle, _)| bundle);
    let pooling = bundle.manifest().pooling.unwrap_or(Pooling::Mean);
    let pooled = |session: OnnxSession<Ix3>| -> Box<dyn Lane> {
        Box::new(PooledLane::new(session, pooling))
    };
    let logits =
        |session: OnnxSession<Ix2>| -> Box<dyn Lane> { Box::new(LogitsLane::new(session)) };
    let (encoder, reranker) = thread::scope(|scope| {
        let load = |bundle| scope.spawn(move || Loaded::of(bundle, options, logits));
        let reranker = cross_encoder.as_ref().map(load);
        (Loaded::of(&bundle, options, pooled), reranker.map(join))
    });
    let (encoder, mut timings) = encoder?;
    let reranker = reranker.transpose()?.map(|(loaded, _)| loaded);
    let service_options = ServiceOptions {
        limits: options.limits,
        normalize: bundle.manifest().normalize.unwrap_or(true),
        prompts: bundle.manifest().prompts.clone(),
        about: about(&bundle, cross_encoder.as_ref(), options),
    };
    let reranker = reranker.zip(cross_encoder).map(|(loaded, bundle)| {
        let Manifest { labels, activation, .. } = bundle.manifest();
        let options = RerankerOptions {
            labels: labels.unwrap_or(1),
            activation: activation.unwrap_or(Activation::Identity),
        };
        Reranker::new(loaded.tokenizer, loaded.lanes, options)
    });
    let encoder = Encoder::new(encoder.tokenizer, encoder.lanes, options.cache);
    let service = Service::new(encoder, reranker, service_options);
    let ((), warm_up) = timed(|| if options.warm_up { service.warm_up() } else { Ok(()) })
        .map_err(InitError::WarmUp)?;
    timings.bundle = bundle_time;
    timings.warm_up = warm_up;
    timings.total = started.elapsed();
    Ok((service, timings))
}

/// What a bundle's files became.
struct Loaded {
    tokenizer: Tokenizer,
    lanes: Lanes,
}

impl Loaded {
    /// Reads the tokenizer and asks for the weights while the library and the graph load.
    fn of<D: GraphOutput>(
        bundle: &Bundle,
        options: &InitOptions<'_>,
        lane: impl Fn(OnnxSession<D>) -> Box<dyn Lane> + Sync,
    ) -> Result<(Self, InitTimings), InitError> {
        let (tokenizer, page_in, model) = thread::scope(|scope| {
            let tokenizer = scope.spawn(|| timed(|| tokenizer(bundle)));
            let page_in = scope.spawn(|| timed(|| bundle.page_in()));
            let model = lanes(bundle, options, lane);
            (join(tokenizer), join(page_in), model)
        });
        let ((lanes, library, session), (tokenizer, tokenizer_time)) = (model?, tokenizer?);
        let ((), page_in) = page_in?;
        let timings = InitTimings {
            tokenizer: tokenizer_time,
            page_in,
            library,
            session,
            ..InitTimings::default()
        };
        Ok((Self { tokenizer, lanes }, timings))
    }
}

fn tokenizer(bundle: &Bundle) -> Result<Tokenizer, TokenizerError> {
    let manifest = bundle.manifest();
    let (rules, words) = (&manifest.files.tokenizer, &manifest.files.vocabulary);
    let limits = TokenizerLimits {
        max_tokens: manifest.max_tokens,
        vocabulary_size: manifest.vocabulary_size,
    };
    let tokenizer = Tokenizer::from_files(&bundle.path_of(rules), &bundle.path_of(words), limits)?;
    match manifest.task {
        Task::Embedding => Ok(tokenizer),
        Task::CrossEncoder => tokenizer.for_pairs(),
    }
}

fn lanes<D: GraphOutput>(
    bundle: &Bundle,
    options: &InitOptions<'_>,
    lane: impl Fn(OnnxSession<D>) -> Box<dyn Lane> + Sync,
) -> Result<(Lanes, Duration, Duration), InitError> {
    let words = Arc::new(bundle.word_embeddings()?);
    let (runtime, library_time) = timed(|| OnnxRuntime::load(options.ort_library))?;
    let graph = bundle.path_of(&bundle.manifest().files.graph);
    let load =
        || Ok::<_, InferError>(lane(OnnxSession::load(&runtime, &graph, Arc::clone(&words))?));
    let (lanes, session_time) = timed(|| {
        thread::scope(|scope| {
            let others: Vec<_> = (1..options.threads.get()).map(|_| scope.spawn(load)).collect();
            let first = load()?;
            let others = others.into_iter().map(join).collect::<Result<_, _>>()?;
            Ok::<_, InferError>(Lanes::new(first, others, options.budget))
        })
    })?;
    Ok((lanes, library_time, session_time))
}

fn about(bundle: &Bundle, cross_encoder: Option<&Bundle>, options: &InitOptions<'_>) -> About {
    let manifest = bundle.manifest();
    let pooling = manifest.pooling.unwrap_or(Pooling::Mean);
    About {
        model_id: manifest.model_name.clone(),
        model_sha: bundle.digest().to_owned(),
        model_dtype: manifest.precision.to_string(),
        model_type: ModelType::Embedding { pooling: pooling.to_string() },
        dimensions: manifest.hidden_size,
        prompts: manifest.prompts.keys().cloned().collect(),
        cross_encoder: cross_encoder.map(|bundle| AboutCrossEncoder {
            model_id: bundle.manifest().model_name.clone(),
            model_sha: bundle.digest().to_owned(),
            model_dtype: bundle.manifest().precision.to_string(),
            labels: bundle.manifest().labels.unwrap_or(1),
            max_input_length: bundle.manifest().max_tokens,
        }),
        max_input_length: manifest.max_tokens,
        max_batch_tokens: options.budget.padded_tokens,
        max_client_batch_size: options.limits.texts,
        max_text_bytes: options.limits.text_bytes,
        max_concurrent_requests: options.concurrency.get(),
        auto_truncate: false,
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn timed<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let started = Instant::now();
    step().map(|value| (value, started.elapsed()))
}

/// Returns what the thread returned; a panic goes on in this thread.
fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
