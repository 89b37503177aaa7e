//! The command `index info`.

use std::io::Write;

use semblance::corpus::Index;
use serde::Serialize;

use crate::arguments::InfoArguments;
use crate::error::CommandError;

/// The description of an index.
#[derive(Serialize)]
struct Info<'a> {
    version: &'a str,
    manifest: &'a semblance::corpus::IndexManifest,
    columns: Vec<&'a str>,
}

pub(super) fn run(arguments: &InfoArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let index = Index::open(&arguments.index.index)?;
    let (manifest, columns) = (index.manifest(), index.columns());
    if arguments.json {
        let info = Info { version: index.digest(), manifest, columns };
        serde_json::to_writer(&mut *out, &info).map_err(std::io::Error::from)?;
        writeln!(out)?;
        out.flush()?;
        return Ok(());
    }
    let vectors = &manifest.vectors;
    let deleted: u64 = manifest.segments.iter().map(|segment| segment.deleted).sum();
    let parent = manifest.parent.as_deref().unwrap_or("none");
    writeln!(out, "version  {}", index.digest())?;
    writeln!(out, "parent   {parent}")?;
    writeln!(out, "model    {} ({})", vectors.model_name, vectors.bundle_digest)?;
    writeln!(out, "prompt   {}", vectors.prompt_name.as_deref().unwrap_or("none"))?;
    writeln!(out, "vectors  {} dimensions, {}", vectors.dimensions, vectors.precision)?;
    writeln!(out, "rows     {} live, {deleted} deleted", manifest.rows)?;
    writeln!(out, "segments {}", manifest.segments.len())?;
    writeln!(
        out,
        "columns  {}",
        if columns.is_empty() { "none".into() } else { columns.join(", ") }
    )?;
    match manifest.recall {
        Some(recall) => writeln!(
            out,
            "recall   {:.3} at 10 of the approximate search, measured on {} rows",
            recall.at_10, recall.queries
        )?,
        None => writeln!(out, "recall   not measured")?,
    }
    out.flush()?;
    Ok(())
}
