//! Loads a model from a bundle and the ONNX Runtime library. Independent steps run in parallel.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bundle::{Bundle, BundleError, Manifest, Task};
use crate::cache::CacheLimit;
use crate::cancel::Cancel;
use crate::cross_encoder::{CrossEncoder, CrossEncoderOptions, LogitsModel};
use crate::encoder::{Encoder, Modules, PooledModel};
use crate::error::LoadError;
use crate::info::{CrossEncoderInfo, LoadTimings, ModelInfo};
use crate::kernels::{InstructionSet, Kernels};
use crate::model::Model;
use crate::options::Options;
use crate::runtime::{EmbeddingTable, InferError, OnnxRuntime, OnnxSession, SessionOptions};
use crate::scheduler::{RowModel, Scheduler};
use crate::threads::{Job, start};
use crate::tokenizer::{Reading, Tokenizer, TokenizerError, TokenizerLimits};
use crate::vector::{Activation, Embeddings, Pooling, Poolings};

/// Loads the embedding model in a folder, if one is given, and the cross-encoder of the options.
pub(crate) fn load(folder: Option<&Path>, options: &Options) -> Result<Model, LoadError> {
    let started = Instant::now();
    let open = |folder: &Path, task| Bundle::open(folder)?.for_task(task);
    let (opened, bundle_time) = timed(|| {
        let embedding = folder.map(|folder| open(folder, Task::Embedding)).transpose()?;
        let pairs = options.cross_encoder.as_deref();
        Ok::<_, LoadError>((embedding, pairs.map(|it| open(it, Task::CrossEncoder)).transpose()?))
    })?;
    let (bundle, pairs) = opened;
    let modules = bundle.as_ref().map(modules).transpose()?;
    let logits =
        |session: OnnxSession| -> Box<dyn RowModel> { Box::new(LogitsModel::new(session)) };
    let (encoder, pair_model) = thread::scope(|scope| {
        let load = |bundle| start(scope, move || LoadedParts::new(bundle, options, logits));
        let pair_model = pairs.as_ref().map(load);
        let encoder = bundle.as_ref().zip(modules.as_ref()).map(|(bundle, modules)| {
            let pooled = |session: OnnxSession| -> Box<dyn RowModel> {
                Box::new(PooledModel::new(session, modules.clone()))
            };
            LoadedParts::new(bundle, options, pooled)
        });
        (encoder, pair_model.map(Job::join))
    });
    let (encoder, pair_model) = (encoder.transpose()?, pair_model.transpose()?);
    // The times are those of the embedding model, if there is one.
    let timings = [&encoder, &pair_model].into_iter().flatten().next();
    let mut timings = timings.ok_or(LoadError::NoBundle)?.1;
    let info = match (&bundle, &modules, &pairs) {
        (Some(bundle), Some(modules), _) => {
            model_info(bundle, modules.poolings.to_string(), modules.dimensions)
        }
        (_, _, Some(pairs)) => model_info(pairs, String::new(), 0),
        _ => return Err(LoadError::NoBundle),
    };
    let pair_model = pair_model.map(|(loaded, _)| loaded);
    let pair_model = pair_model.zip(pairs).map(|(loaded, bundle)| {
        let info = cross_encoder_info(&bundle);
        (cross_encoder(loaded, &bundle), info)
    });
    let cache = CacheLimit { bytes: options.cache_bytes };
    let encoder = encoder.map(|(parts, _)| Encoder::new(parts.tokenizer, parts.scheduler, cache));
    let model = Model::new(encoder, pair_model, info);
    let ((), warm_up) = timed(|| if options.warm_up { model.warm_up() } else { Ok(()) })
        .map_err(LoadError::WarmUp)?;
    timings.bundle = bundle_time;
    timings.warm_up = warm_up;
    timings.total = started.elapsed();
    Ok(model.with_timings(timings))
}

/// Loads a bundle of either task as a process does, and runs its model on a text of the maximum length.
pub(crate) fn check(folder: &Path, options: &Options) -> Result<(), LoadError> {
    let bundle = Bundle::open(folder)?;
    let cancel = Cancel::default();
    let text = "a ".repeat(bundle.manifest().max_tokens);
    match bundle.manifest().task {
        Task::Embedding => {
            let modules = modules(&bundle)?;
            let rows = |session| -> Box<dyn RowModel> {
                Box::new(PooledModel::new(session, modules.clone()))
            };
            let (parts, _) = LoadedParts::new(&bundle, options, rows)?;
            let encoder = Encoder::new(parts.tokenizer, parts.scheduler, CacheLimit { bytes: 0 });
            let pooled = encoder
                .prepare([&*text], Reading::DEFAULT, &cancel)
                .and_then(|text| encoder.encode(text, &cancel));
            pooled
                .and_then(|texts| Ok(Embeddings::from_pooled(texts.pooled).map(drop)?))
                .map_err(LoadError::WarmUp)
        }
        Task::CrossEncoder => {
            let rows = |session| -> Box<dyn RowModel> { Box::new(LogitsModel::new(session)) };
            let (parts, _) = LoadedParts::new(&bundle, options, rows)?;
            let pairs = cross_encoder(parts, &bundle);
            let logits = pairs
                .prepare([(&*text, &*text).into()], Reading::DEFAULT, &cancel)
                .and_then(|pair| pairs.classify(pair, &cancel));
            logits.map(drop).map_err(LoadError::WarmUp)
        }
    }
}

fn cross_encoder(parts: LoadedParts, bundle: &Bundle) -> CrossEncoder {
    let Manifest { labels, activation, .. } = bundle.manifest();
    let (labels, activation) = (labels.unwrap_or(1), activation.unwrap_or(Activation::Identity));
    CrossEncoder::new(parts.tokenizer, parts.scheduler, CrossEncoderOptions { labels, activation })
}

/// The parts of a model that come from one bundle.
struct LoadedParts {
    tokenizer: Tokenizer,
    scheduler: Scheduler,
}

impl LoadedParts {
    /// Loads the tokenizer and requests the weights while the library and the graph load.
    fn new(
        bundle: &Bundle,
        options: &Options,
        rows: impl Fn(OnnxSession) -> Box<dyn RowModel>,
    ) -> Result<(Self, LoadTimings), LoadError> {
        let (tokenizer, page_in, model) = thread::scope(|scope| {
            let tokenizer = start(scope, || timed(|| tokenizer(bundle)));
            let page_in = start(scope, || timed(|| bundle.page_in()));
            let model = scheduler(bundle, options, rows);
            (tokenizer.join(), page_in.join(), model)
        });
        let ((scheduler, library, session), (tokenizer, tokenizer_time)) = (model?, tokenizer?);
        let ((), page_in) = page_in?;
        let timings = LoadTimings {
            tokenizer: tokenizer_time,
            page_in,
            library,
            session,
            ..LoadTimings::default()
        };
        Ok((Self { tokenizer, scheduler }, timings))
    }
}

fn tokenizer(bundle: &Bundle) -> Result<Tokenizer, TokenizerError> {
    let manifest = bundle.manifest();
    let (rules, vocabulary) = (&manifest.files.tokenizer, &manifest.files.vocabulary);
    let limits = TokenizerLimits {
        max_tokens: manifest.max_tokens,
        vocabulary_size: manifest.vocabulary_size,
    };
    let tokenizer =
        Tokenizer::from_files(&bundle.path_of(rules), &bundle.path_of(vocabulary), limits)?;
    match manifest.task {
        Task::Embedding => Ok(tokenizer),
        Task::CrossEncoder => tokenizer.for_pairs(),
    }
}

fn scheduler(
    bundle: &Bundle,
    options: &Options,
    rows: impl Fn(OnnxSession) -> Box<dyn RowModel>,
) -> Result<(Scheduler, Duration, Duration), LoadError> {
    let table = Arc::new(EmbeddingTable::open(bundle)?);
    let (runtime, library_time) = timed(|| OnnxRuntime::load(&options.library))?;
    let graph = bundle.path_of(&bundle.manifest().files.graph);
    bundle.check_graph().map_err(|source| InferError::Session {
        path: graph.display().to_string(),
        source: Box::new(source),
    })?;
    let session = SessionOptions {
        task: bundle.manifest().task,
        inputs: bundle.manifest().inputs.clone(),
        padding: bundle.manifest().pad_token_id,
        kernels: kernels(options.instruction_set)?,
        threads: options.threads.get(),
    };
    let (session, session_time) = timed(|| OnnxSession::load(&runtime, &graph, table, session))?;
    Ok((Scheduler::new(rows(session), options.batch_tokens), library_time, session_time))
}

fn kernels(set: Option<InstructionSet>) -> Result<Kernels, LoadError> {
    let Some(set) = set else { return Ok(Kernels::detect()) };
    Kernels::of(set).ok_or(LoadError::InstructionSet { set })
}

/// Returns what follows the transformer.
fn modules(bundle: &Bundle) -> Result<Modules, BundleError> {
    let manifest = bundle.manifest();
    let poolings = manifest.pooling.clone();
    Ok(Modules {
        poolings: poolings.unwrap_or_else(|| Poolings::new(vec![Pooling::Mean])),
        dense: bundle.dense_layers()?,
        dimensions: manifest.dimensions(),
    })
}

fn model_info(bundle: &Bundle, pooling: String, dimensions: usize) -> ModelInfo {
    let manifest = bundle.manifest();
    ModelInfo {
        name: manifest.model_name.clone(),
        digest: bundle.digest().to_owned(),
        precision: manifest.precision.to_string(),
        pooling,
        normalizes: manifest.normalize.unwrap_or(true),
        similarity: manifest.similarity.unwrap_or_default(),
        dimensions,
        prompts: manifest.prompts.clone(),
        default_prompt: manifest.default_prompt.clone(),
        max_tokens: manifest.max_tokens,
    }
}

fn cross_encoder_info(bundle: &Bundle) -> CrossEncoderInfo {
    let manifest = bundle.manifest();
    let Manifest { model_name, precision, max_tokens, .. } = manifest;
    CrossEncoderInfo {
        name: model_name.clone(),
        digest: bundle.digest().to_owned(),
        precision: precision.to_string(),
        labels: manifest.label_names(),
        max_tokens: *max_tokens,
    }
}

fn timed<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let started = Instant::now();
    step().map(|value| (value, started.elapsed()))
}
