//! The commands, one file each.

mod embed;
mod input;
mod limited;
mod manual;
mod models;
mod output;
mod pairs;
mod progress;
mod score;
mod serve;
mod tokenize;
mod verify;

use std::io::Write;

use crate::arguments::{Arguments, Command};
use crate::error::CommandError;

/// Runs a command. It writes its result to `out` and its progress to standard error.
///
/// # Errors
/// - [`CommandError`] if the command fails.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Result<(), CommandError> {
    match arguments.command {
        Command::Score(score) => score::run(&score, out),
        Command::Rerank(rerank) => pairs::rerank(&rerank, out),
        Command::Predict(predict) => pairs::predict(&predict, out),
        Command::Embed(embed) => embed::run(&embed, out),
        Command::Tokenize(tokenize) => tokenize::run(&tokenize, out),
        Command::Models(models) => models::run(&models, out),
        Command::Completions(completions) => manual::completions(&completions, out),
        Command::Manual(manual) => manual::pages(&manual),
        Command::Serve(serve) => serve::run(&serve),
        Command::Verify(verify) => verify::run(&verify, out),
    }
}
