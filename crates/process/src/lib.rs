//! Shared code of the binaries: environment variables, logging, Lambda payloads.

mod environment;
#[cfg(feature = "lambda")]
mod payload;
mod telemetry;

pub use environment::{ConfigError, Environment};
#[cfg(feature = "lambda")]
pub use payload::{Event, WrapBody};
pub use telemetry::{chain, init, ms};

use semblance::{Code, Fault};

/// The Runtime API cannot be reached.
pub const RUNTIME_UNREACHABLE: Code = Code::new(
    "runtime.unreachable",
    Fault::Start,
    "The Runtime API of AWS Lambda cannot be reached. The process exits.",
);
