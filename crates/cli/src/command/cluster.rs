//! The command `cluster`.

use std::io::Write;

use semblance::corpus::ClusterOptions;
use serde::Serialize;

use super::csv_row;
use super::source::Source;
use crate::arguments::{ClusterArguments, PairFormat};
use crate::error::CommandError;

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    cluster: usize,
    size: usize,
    /// The text nearest to the mean of the cluster.
    label: &'a str,
    /// The words that distinguish it from the others.
    words: &'a [String],
    /// Ids of its rows, the center first.
    members: Vec<String>,
}

pub(super) fn run(arguments: &ClusterArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let source = Source::open(&arguments.corpus)?;
    let index = &source.index;
    let defaults = ClusterOptions::default();
    let options = ClusterOptions {
        threshold: arguments.threshold,
        min_size: arguments.min_size as usize,
        threads: arguments.threads.unwrap_or(defaults.threads),
        ..defaults
    };
    let clusters = index.cluster(&options)?;
    let (labels, reader) = (index.labels(&clusters)?, index.reader());
    if arguments.output == PairFormat::Csv {
        csv_row(out, &["cluster", "label", "id", "text"])?;
    }
    for (cluster, (members, label)) in clusters.iter().zip(&labels).enumerate() {
        match arguments.output {
            PairFormat::Jsonl => {
                let ids = members.iter().map(|&row| Ok(reader.row(row)?.id));
                let members = ids.collect::<Result<Vec<String>, CommandError>>()?;
                let (size, words) = (members.len(), label.words.as_slice());
                let line = Line { cluster, size, label: &label.text, words, members };
                serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            PairFormat::Csv => {
                for &row in members {
                    let row = reader.row(row)?;
                    csv_row(out, &[&cluster.to_string(), &label.text, &row.id, &row.text])?;
                }
            }
        }
    }
    out.flush()?;
    Ok(())
}
