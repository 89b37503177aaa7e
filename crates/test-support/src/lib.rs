//! What the tests and benches of semblance share: the folders that `make` fills, services on real
//! and on fake models, and the Lambda Runtime API.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap fails the test")]

mod bundles;
mod compare;
mod document;
mod fake;
mod runtime_api;
mod service;

pub use bundles::{bundle, cross_encoder_bundle, int8_bundle, library, repository};
pub use compare::assert_close;
pub use document::assert_document;
pub use fake::{Constant, OneHot, PanicsOn, Seen, fake_service, named_fake_service};
pub use runtime_api::{Answer, FUNCTION_ARN, Kind, Pending, RuntimeApi, TIMEOUT};
pub use service::{load, service, service_of, tokenizer};
