//! The commands on an index.

pub(super) mod add;
mod delete;
mod export;
mod info;
mod points;

use std::io::Write;
use std::time::Duration;

use semblance::corpus::{Index, Published, Writer, WriterOptions};

use super::parquet::rows_file;
use super::progress;
use crate::arguments::{ChangeArguments, IndexArguments, IndexCommand, UseArguments};
use crate::error::CommandError;

pub(super) fn run(command: &IndexCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        IndexCommand::Build(build) => add::build(build, out),
        IndexCommand::Append(append) => add::append(append, out),
        IndexCommand::Delete(delete) => delete::run(delete, out),
        IndexCommand::Compact(change) => compact(change, out),
        IndexCommand::Use(version) => use_version(version, out),
        IndexCommand::Info(info) => info::run(info, out),
        IndexCommand::Verify(index) => verify(index, out),
        IndexCommand::Export(export) => export::run(export, out),
    }
}

fn writer_options(change: &ChangeArguments) -> WriterOptions {
    WriterOptions {
        segment_rows: change.segment_rows as usize,
        min_recall: change.min_recall,
        grace: Duration::from_secs(change.grace_hours.saturating_mul(3600)),
        rows_file: Some(rows_file()),
        points: points::points(),
    }
}

fn compact(change: &ChangeArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut writer = Writer::open(&change.index.index, writer_options(change))?;
    writer.compact()?;
    report(&writer.publish()?, out)
}

fn use_version(arguments: &UseArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let folder = &arguments.index.index;
    let index = semblance::corpus::use_version(folder, &arguments.version)?;
    writeln!(out, "version {}", index.digest())?;
    writeln!(out, "rows    {}", index.manifest().rows)?;
    out.flush()?;
    Ok(())
}

fn verify(arguments: &IndexArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let index = Index::open(&arguments.index)?;
    let bar = progress::bytes(None);
    let verified = index.verify(|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let verified = verified?;
    let (rows, files, bytes) = (verified.rows, verified.files, verified.bytes);
    writeln!(out, "version {}", index.digest())?;
    writeln!(out, "ok      {rows} rows, {files} files, {bytes} bytes")?;
    out.flush()?;
    Ok(())
}

/// Prints what was published.
fn report(published: &Published, out: &mut dyn Write) -> Result<(), CommandError> {
    let manifest = &published.manifest;
    let unchanged = if published.changed { "" } else { " (unchanged)" };
    writeln!(out, "version {}{unchanged}", published.digest)?;
    writeln!(out, "rows    {} in {} segments", manifest.rows, manifest.segments.len())?;
    if let Some(recall) = manifest.recall {
        writeln!(out, "recall  {:.3} at 10, of {} queries", recall.at_10, recall.queries)?;
    }
    out.flush()?;
    Ok(())
}
