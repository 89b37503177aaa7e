//! The function `similarity`: in this process, under a Runtime API, under the
//! emulator, and as the package that is deployed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "codes and messages are shown with --nocapture")]

mod captured;
mod concurrency;
mod deadline;
mod emulator;
mod handler;
mod http_event;
mod http_events;
mod log_lines;
mod malformed_events;
mod memory;
mod multilingual;
mod odd_events;
mod package;
mod paths;
mod random_events;
mod settings;
mod soak;
mod sources;
mod start;
