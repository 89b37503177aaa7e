//! Shared code of the binaries: environment variables, logging, Lambda payloads.

mod environment;
mod file_size;
mod line_queue;
mod mapped_files;
mod no_telemetry;
#[cfg(feature = "lambda")]
mod payload;
mod telemetry;

pub use environment::{ConfigError, Environment};
pub use file_size::fail_large_writes;
pub use line_queue::{DroppedLines, Flush, LineQueue};
pub use mapped_files::{FILE_CHANGED, report_changed_files};
pub use no_telemetry::{ORT_DISABLE_TELEMETRY, disable_onnx_telemetry};
#[cfg(feature = "lambda")]
pub use payload::{Event, WrapBody};
pub use telemetry::{chain, init, init_queued, ms};

use semblance::{Code, Fault};

/// The Runtime API cannot be reached.
pub const RUNTIME_UNREACHABLE: Code = Code::new(
    "runtime.unreachable",
    Fault::Start,
    "The Runtime API of AWS Lambda cannot be reached. The process exits.",
);
