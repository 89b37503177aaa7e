//! Fake models, for tests of what surrounds a model. The tokenizer is the real one.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ndarray::Array3;
use semblance::internals::cache::CacheLimit;
use semblance::internals::encoder::{Encoder, PooledLane};
use semblance::internals::runtime::{Infer, InferError, Inputs};
use semblance::internals::scheduler::{Budget, Lanes};
use semblance::internals::vector::Pooling;
use semblance::{Model, ModelInfo};
use semblance_api::{Limits, Service, ServiceOptions};

use crate::tokenizer;

/// Most tokens of a pass of a fake model.
const BATCH_TOKENS: usize = 64;

/// Returns a service on a fake model with this many dimensions.
pub fn fake_service(
    infer: impl Infer<Output = Array3<f32>> + 'static,
    dimensions: usize,
    limits: Limits,
) -> Service {
    named_fake_service("fake", infer, dimensions, limits)
}

/// Returns a service on a fake model with a name.
pub fn named_fake_service(
    name: &str,
    infer: impl Infer<Output = Array3<f32>> + 'static,
    dimensions: usize,
    limits: Limits,
) -> Service {
    let lane = Box::new(PooledLane::new(infer, Pooling::Mean));
    let lanes = Lanes::new(lane, Vec::new(), Budget { padded_tokens: BATCH_TOKENS });
    let encoder = Encoder::new(tokenizer(256), lanes, CacheLimit::default());
    let info = ModelInfo {
        name: name.into(),
        digest: "0".repeat(64),
        precision: "fp32".into(),
        pooling: "mean".into(),
        normalizes: true,
        dimensions,
        prompts: [("query".to_owned(), "red ".to_owned())].into(),
        max_tokens: 256,
    };
    let options =
        ServiceOptions { limits, batch_tokens: BATCH_TOKENS, concurrency: NonZeroUsize::MIN };
    Service::new(Model::new(encoder, None, info), options)
}

/// The passes of a fake model: texts and width of each.
pub type Seen = Arc<Mutex<Vec<(usize, usize)>>>;

/// A model with 16 dimensions whose token embedding depends on the token alone: dimension
/// `id mod 16` is 1, and the last is always 1.
#[derive(Default)]
pub struct OneHot {
    /// The passes so far.
    pub seen: Seen,
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

/// A model that returns the same number everywhere.
pub struct Constant(pub f32);

impl Infer for Constant {
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        let (texts, tokens) = inputs.input_ids.dim();
        Ok(Array3::from_elem((texts, tokens, 4), self.0))
    }
}

/// A model with a bug: it panics on every pass that contains this token.
pub struct PanicsOn(pub i32);

impl Infer for PanicsOn {
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        assert!(!inputs.input_ids.iter().any(|&id| id == self.0), "a bug");
        OneHot::default().infer(inputs)
    }
}

/// A slow model: every pass takes this long.
pub struct Slow(pub Duration);

impl Infer for Slow {
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        thread::sleep(self.0);
        OneHot::default().infer(inputs)
    }
}
