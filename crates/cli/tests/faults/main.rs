//! Faults of clients and of the machine: each is made to happen to a real server.
//!
//! Bounds on time are features, such as `--shutdown-seconds`, with seconds of slack for a busy machine.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "the tests print the times that they measure")]

mod clients;
mod commands;
mod connections;
mod files;
mod framing;
mod holds;
mod http2;
mod logs;
mod memory;
mod raw;
mod shutdown;
mod soak;
mod timeouts;
