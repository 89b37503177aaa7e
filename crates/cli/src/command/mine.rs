//! The command `mine`.

use std::io::Write;

use semblance::corpus::MineOptions;
use serde::Serialize;

use super::csv_row;
use super::source::Source;
use crate::arguments::{MineArguments, PairFormat};
use crate::error::CommandError;

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    score: f32,
    a: &'a str,
    b: &'a str,
    text_a: &'a str,
    text_b: &'a str,
}

pub(super) fn run(arguments: &MineArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let source = Source::open(&arguments.corpus)?;
    let index = &source.index;
    let defaults = MineOptions::default();
    let options = MineOptions {
        top_k: arguments.top_k as usize,
        max_pairs: arguments.max_pairs as usize,
        min_score: arguments.min_score,
        threads: arguments.threads.unwrap_or(defaults.threads),
    };
    let (pairs, reader) = (index.mine(&options)?, index.reader());
    if arguments.output == PairFormat::Csv {
        csv_row(out, &["score", "a", "b", "text_a", "text_b"])?;
    }
    for pair in pairs {
        let (a, b) = (reader.row(pair.a)?, reader.row(pair.b)?);
        let (score, text_a, text_b) = (pair.score, &a.text, &b.text);
        match arguments.output {
            PairFormat::Jsonl => {
                let line = Line { score, a: &a.id, b: &b.id, text_a, text_b };
                serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            PairFormat::Csv => csv_row(out, &[&score.to_string(), &a.id, &b.id, text_a, text_b])?,
        }
    }
    out.flush()?;
    Ok(())
}
