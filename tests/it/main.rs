//! Integration tests: the library, the command line, the function and the emulator, on the real
//! model that `make model` builds.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "figures and tables are shown with --nocapture")]

mod bundle;
mod cli;
mod concurrency;
mod cross_encoder;
mod emulator;
mod golden;
mod handler;
mod http;
mod http_events;
mod imports;
mod int8;
mod invariance;
mod operations;
mod package;
mod readme;
#[path = "../support/runtime_api.rs"]
mod runtime_api;
mod server;
mod start;
mod support;
mod tokenizer;
