//! What the tests, the demo and the benches of semblance share: the folders that `make` fills,
//! services on real and on fake models, and one launcher each of the function under a Runtime API,
//! the emulator and the server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap fails the test")]

mod breakable;
mod bundles;
mod compare;
mod document;
mod emulator;
mod fake;
mod function;
mod indexes;
mod log;
mod manifest;
mod options;
mod process;
mod runtime_api;
mod server;
mod service;
mod table;

pub use breakable::{Breakable, flip};
pub use bundles::{
    bundle, cross_encoder_bundle, family_bundle, int8_bundle, library, multilingual_bundle,
    repository, tokenizer_folder,
};
pub use compare::assert_close;
pub use document::assert_document;
pub use emulator::Emulator;
pub use fake::{Constant, OneHot, PanicsOn, Seen, Slow, fake_service, named_fake_service};
pub use function::Function;
pub use indexes::indexes;
pub use log::Log;
pub use manifest::tiny_manifest;
pub use options::{OptionRow, option_rows};
pub use runtime_api::{Answer, FUNCTION_ARN, Kind, Pending, Phase, RuntimeApi, TIMEOUT};
pub use server::Server;
pub use service::{load, service, service_of, tokenizer};
pub use table::table_names;
