//! Where the real model is, and what stands in for it where the model is not the point.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ndarray::Array3;
use semblance::api::Limits;
use semblance::encoder::{CacheLimit, Encoder, EncoderOptions, Lanes};
use semblance::infer::{Infer, InferError, Inputs};
use semblance::init::{self, InitOptions};
use semblance::service::Service;
use semblance::text::{Budget, Tokenizer, TokenizerLimits};
use semblance::vector::Pooling;

/// A path below the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The real bundle's folder.
pub(crate) fn bundle() -> PathBuf {
    existing("build/model/default", "make model")
}

/// The folder of the same model in int8.
pub(crate) fn int8_bundle() -> PathBuf {
    existing("build/model/int8", "make build/model/.int8")
}

/// The ONNX Runtime library.
pub(crate) fn library() -> PathBuf {
    existing("build/lib/libonnxruntime.so", "make setup")
}

fn existing(path: &str, target: &str) -> PathBuf {
    let path = repository(path);
    assert!(path.exists(), "{} is missing: run `{target}`", path.display());
    path.canonicalize().unwrap()
}

/// Runs `test` with a service on the real model, one thread, one service for all tests.
pub(crate) fn with_service<T>(test: impl FnOnce(&mut Service) -> T) -> T {
    static SERVICE: OnceLock<Mutex<Service>> = OnceLock::new();
    let service = SERVICE.get_or_init(|| Mutex::new(start(&bundle(), NonZeroUsize::MIN)));
    test(&mut service.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Starts a service on a bundle, with so many lanes.
pub(crate) fn start(bundle: &Path, threads: NonZeroUsize) -> Service {
    let options = InitOptions {
        bundle,
        ort_library: &library(),
        limits: Limits::default(),
        budget: Budget::default(),
        // Off: a test of the model must not be answered from memory.
        cache: CacheLimit { bytes: 0 },
        threads,
        warm_up: false,
    };
    init::start(&options).unwrap().0
}

/// The real bundle's tokenizer, for a model that takes so many tokens.
pub(crate) fn tokenizer(max_tokens: usize) -> Tokenizer {
    let (rules, words) = (bundle().join("tokenizer.json"), bundle().join("vocabulary.txt"));
    let limits = TokenizerLimits { max_tokens, vocabulary_size: 30_522 };
    Tokenizer::from_files(&rules, &words, limits).unwrap()
}

/// A service whose model is a fake; the tokenizer is the real one.
pub(crate) fn service_on(infer: impl Infer + 'static, limits: Limits) -> Service {
    let tokenizer = tokenizer(256);
    let options = EncoderOptions {
        pooling: Pooling::Mean,
        normalize: true,
        budget: Budget { padded_tokens: 64 },
        cache: CacheLimit::default(),
    };
    Service::new(Encoder::new(tokenizer, Lanes::new(Box::new(infer), Vec::new()), options), limits)
}

/// What a fake model was given: the batches, each with its rows and width.
pub(crate) type Seen = std::sync::Arc<Mutex<Vec<(usize, usize)>>>;

/// A model of 16 dimensions whose token embedding depends on the token alone: dimension
/// `id mod 16` is 1, the last is always 1.
#[derive(Default)]
pub(crate) struct OneHot {
    pub(crate) seen: Seen,
}

impl Infer for OneHot {
    fn token_embeddings(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        let (texts, tokens) = inputs.input_ids.dim();
        self.seen.lock().unwrap().push((texts, tokens));
        Ok(Array3::from_shape_fn((texts, tokens, 16), |(text, token, dimension)| {
            let id = usize::try_from(inputs.input_ids[[text, token]]).unwrap();
            f32::from(u8::from(dimension == 15 || id % 16 == dimension))
        }))
    }
}

/// A model that answers with the same number everywhere.
pub(crate) struct Constant(pub(crate) f32);

impl Infer for Constant {
    fn token_embeddings(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        let (texts, tokens) = inputs.input_ids.dim();
        Ok(Array3::from_elem((texts, tokens, 4), self.0))
    }
}

/// A model with a bug: it panics on every batch that holds this token.
pub(crate) struct PanicsOn(pub(crate) i32);

impl Infer for PanicsOn {
    fn token_embeddings(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        assert!(!inputs.input_ids.iter().any(|&id| id == self.0), "a bug");
        OneHot::default().token_embeddings(inputs)
    }
}
