//! Fake models, for tests of what surrounds a model. The tokenizer is the real one.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ndarray::{Array2, ArrayView2};
use semblance::Model;
use semblance::info::{ModelInfo, SimilarityFunction};
use semblance::internals::cache::CacheLimit;
use semblance::internals::encoder::{Encoder, Modules, PooledModel};
use semblance::internals::runtime::{Infer, InferError, Inputs};
use semblance::internals::scheduler::Scheduler;
use semblance::internals::vector::{Pooling, Poolings};
use semblance_api::{Limits, Service, ServiceOptions};

use crate::tokenizer;

/// Maximum number of tokens in one pass, for fake models.
const BATCH_TOKENS: usize = 64;

/// Returns a service on a fake model with this many dimensions.
pub fn fake_service(infer: impl Infer + 'static, dimensions: usize, limits: Limits) -> Service {
    named_fake_service("fake", infer, dimensions, limits)
}

/// Returns a service on a fake model with a name.
pub fn named_fake_service(
    name: &str,
    infer: impl Infer + 'static,
    dimensions: usize,
    limits: Limits,
) -> Service {
    let modules =
        Modules { poolings: Poolings::new(vec![Pooling::Mean]), dense: Vec::new(), dimensions };
    let model = Box::new(PooledModel::new(infer, modules));
    let scheduler = Scheduler::new(model, BATCH_TOKENS);
    let encoder = Encoder::new(tokenizer(256), scheduler, CacheLimit::default());
    let info = ModelInfo {
        name: name.into(),
        digest: "0".repeat(64),
        precision: "fp32".into(),
        pooling: "mean".into(),
        normalizes: true,
        similarity: SimilarityFunction::Cosine,
        dimensions,
        prompts: [("color".to_owned(), "red ".to_owned())].into(),
        default_prompt: None,
        max_tokens: 256,
    };
    let options =
        ServiceOptions { limits, batch_tokens: BATCH_TOKENS, concurrency: NonZeroUsize::MIN };
    Service::new(Model::new(encoder, None, info), options)
}

/// The passes of a fake model: texts and tokens of each.
pub type Seen = Arc<Mutex<Vec<(usize, usize)>>>;

/// A model with 16 dimensions whose token embedding depends on the token alone: dimension
/// `id mod 16` is 1, and the last is always 1.
#[derive(Default)]
pub struct OneHot {
    /// The passes so far.
    pub seen: Seen,
}

impl Infer for OneHot {
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError> {
        self.seen.lock().unwrap().push((inputs.texts(), inputs.tokens()));
        let embeddings = Array2::from_shape_fn((inputs.tokens(), 16), |(token, dimension)| {
            let id = usize::try_from(inputs.input_ids()[token]).unwrap();
            f32::from(u8::from(dimension == 15 || id % 16 == dimension))
        });
        Ok(read(embeddings.view()))
    }
}

/// A model that returns the same number everywhere.
pub struct Constant(pub f32);

impl Infer for Constant {
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError> {
        Ok(read(Array2::from_elem((inputs.tokens(), 4), self.0).view()))
    }
}

/// A model with a bug: it panics on every pass that contains this token.
pub struct PanicsOn(pub i32);

impl Infer for PanicsOn {
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError> {
        assert!(!inputs.input_ids().contains(&self.0), "a bug");
        OneHot::default().infer(inputs, read)
    }
}

/// A slow model: every pass takes this long.
pub struct Slow(pub Duration);

impl Infer for Slow {
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError> {
        thread::sleep(self.0);
        OneHot::default().infer(inputs, read)
    }
}
