//! The commands, one file each.

mod cluster;
mod embed;
mod index;
mod input;
mod limited;
mod manual;
mod map;
mod mine;
mod models;
mod output;
mod pairs;
mod parquet;
mod progress;
mod rows;
mod score;
mod search;
mod serve;
mod source;
mod tokenize;
mod verify;

use std::io::Write;

pub use rows::RowError;

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
        Command::Index(index) => index::run(&index, out),
        Command::Mine(mine) => mine::run(&mine, out),
        Command::Cluster(cluster) => cluster::run(&cluster, out),
        Command::Map(map) => map::run(&map, out),
        Command::Search(search) => search::run(&search, out),
        Command::Serve(serve) => serve::run(&serve),
        Command::Verify(verify) => verify::run(&verify, out),
    }
}

/// Writes a line of comma-separated values.
fn csv_row(out: &mut dyn Write, fields: &[&str]) -> Result<(), CommandError> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(fields).map_err(std::io::Error::from)?;
    writer.flush()?;
    Ok(())
}
