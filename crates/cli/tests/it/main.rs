//! The command line `semblance` as a user runs it, and its documentation.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "figures are shown with --nocapture")]

mod cases;
mod cli;
mod client;
mod corpus;
mod embed;
mod help;
mod indexes;
mod inspect;
mod keys;
mod options;
mod pairs;
mod parquet;
mod program;
mod reference;
mod server;
mod server_log;
mod telemetry;

use semblance_test_support::Server;

/// Starts `semblance serve` with these arguments, without a cache.
fn serve(arguments: &[&str]) -> Server {
    let mut command = Server::command(env!("CARGO_BIN_EXE_semblance").as_ref(), arguments);
    command.env("SEMBLANCE_CACHE_BYTES", "0");
    Server::start(command).unwrap()
}
