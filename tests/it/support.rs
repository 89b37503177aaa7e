//! Where the real model is, and what stands in for it where the model is not the point.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use ndarray::{Array2, Array3};
use semblance::api::{About, EmbedRequest, Limits, ModelType};
use semblance::encoder::{CacheLimit, Encoder, PooledLane};
use semblance::infer::{Infer, InferError, Inputs};
use semblance::init::{self, InitOptions};
use semblance::lanes::Lanes;
use semblance::service::{Service, ServiceOptions};
use semblance::text::{Budget, Tokenizer, TokenizerLimits};
use semblance::vector::Pooling;
use serde_json::Value;

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

/// The folder of a seeded cross-encoder: `cross` with one label, `cross-labels` with three.
pub(crate) fn cross_encoder_bundle(name: &str) -> PathBuf {
    existing(&format!("build/model/{name}"), "make build/model/.cross build/model/.cross-labels")
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

/// A service on the real model, one thread, one for all tests.
pub(crate) fn service() -> &'static Arc<Service> {
    static SERVICE: OnceLock<Arc<Service>> = OnceLock::new();
    SERVICE.get_or_init(|| Arc::new(start(&bundle(), None, NonZeroUsize::MIN)))
}

/// The embeddings of texts, `[texts, dim]`, f32, as the bundle says.
pub(crate) fn embed(service: &Service, texts: &[String]) -> Array2<f32> {
    service.embed(&EmbedRequest::of_texts(texts.to_vec())).unwrap().0.vectors
}

/// Starts a service on a bundle and perhaps a cross-encoder's, with so many lanes each.
pub(crate) fn start(bundle: &Path, cross_encoder: Option<&Path>, threads: NonZeroUsize) -> Service {
    let options = InitOptions {
        bundle,
        cross_encoder,
        ort_library: &library(),
        limits: Limits::default(),
        budget: Budget::default(),
        // Off: a test of the model must not be answered from memory.
        cache: CacheLimit { bytes: 0 },
        threads,
        concurrency: NonZeroUsize::MIN,
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

/// A service whose model is a fake of so many dimensions; the tokenizer is the real one.
pub(crate) fn service_on(
    infer: impl Infer<Output = Array3<f32>> + 'static,
    dimensions: usize,
    limits: Limits,
) -> Service {
    service_named("fake", infer, dimensions, limits)
}

/// The same, with a name for the model.
pub(crate) fn service_named(
    model_id: &str,
    infer: impl Infer<Output = Array3<f32>> + 'static,
    dimensions: usize,
    limits: Limits,
) -> Service {
    let lane = Box::new(PooledLane::new(infer, Pooling::Mean));
    let lanes = Lanes::new(lane, Vec::new(), Budget { padded_tokens: 64 });
    let encoder = Encoder::new(tokenizer(256), lanes, CacheLimit::default());
    let about = About {
        model_id: model_id.into(),
        model_sha: "0".repeat(64),
        model_dtype: "fp32".into(),
        model_type: ModelType::Embedding { pooling: "mean".into() },
        dimensions,
        prompts: vec!["query".into()],
        cross_encoder: None,
        max_input_length: 256,
        max_batch_tokens: 64,
        max_client_batch_size: limits.texts,
        max_text_bytes: limits.text_bytes,
        max_concurrent_requests: 1,
        auto_truncate: false,
        version: "0",
    };
    let prompts = [("query".to_owned(), "red ".to_owned())].into();
    Service::new(encoder, None, ServiceOptions { limits, normalize: true, prompts, about })
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
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
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
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        let (texts, tokens) = inputs.input_ids.dim();
        Ok(Array3::from_elem((texts, tokens, 4), self.0))
    }
}

/// A model with a bug: it panics on every batch that holds this token.
pub(crate) struct PanicsOn(pub(crate) i32);

impl Infer for PanicsOn {
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        assert!(!inputs.input_ids.iter().any(|&id| id == self.0), "a bug");
        OneHot::default().infer(inputs)
    }
}

/// Largest difference of a number between one answer and another: who shares a forward pass with
/// others has other roundings.
const ANSWER_TOLERANCE: f64 = 1e-6;

/// Asserts that two answers are equal, their fractions but for rounding.
#[track_caller]
pub(crate) fn assert_close(found: &Value, expected: &Value) {
    assert!(is_close(found, expected), "found {found}\nexpected {expected}");
}

fn is_close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= ANSWER_TOLERANCE
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_close(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_close(a, b)))
        }
        (a, b) => a == b,
    }
}
