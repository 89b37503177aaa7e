//! The commands: one file each.

mod embed;
mod input;
mod progress;
mod score;
mod serve;
mod verify;

use std::io::Write;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Runs a command; data goes to `out`, notes to standard error.
///
/// # Errors
/// - [`Failure`], which names its cause.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    match arguments.command {
        Command::Score(score) => score::run(&score, out),
        Command::Embed(embed) => embed::run(&embed, out),
        Command::Serve(serve) => serve::run(&serve),
        Command::Verify(verify) => verify::run(&verify, out),
    }
}
