//! The command `models`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use semblance::internals::bundle::Bundle;
use semblance::internals::bundle::{MANIFEST_FILE, Task};
use semblance_process::chain;
use serde::Serialize;

use crate::arguments::ModelsArguments;
use crate::error::CommandError;

/// Maximum depth of the search: `<root>/<name>/<digest>` has depth 2.
const MAX_DEPTH: usize = 6;

/// A line of the list.
#[derive(Serialize)]
struct Entry {
    name: String,
    kind: String,
    /// Dimensions of an embedding; null for a cross-encoder.
    dimensions: Option<usize>,
    /// Labels of a cross-encoder; null for an embedding model.
    labels: Option<usize>,
    precision: String,
    size_bytes: u64,
    digest: String,
    folder: String,
}

pub(super) fn run(arguments: &ModelsArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut folders = Vec::new();
    find(&arguments.folder, 0, &mut folders).map_err(|(path, source)| CommandError::Read {
        path: path.display().to_string(),
        source,
    })?;
    folders.sort();
    let opened = folders.iter().map(|folder| (folder, Bundle::open(folder)));
    let (valid, invalid): (Vec<_>, Vec<_>) = opened.partition(|(_, opened)| opened.is_ok());
    let entries: Vec<Entry> =
        valid.iter().filter_map(|(_, opened)| opened.as_ref().ok()).map(Entry::new).collect();
    match arguments.json {
        true => json(&entries, out)?,
        false => table(&entries, out)?,
    }
    out.flush()?;
    for error in invalid.iter().filter_map(|(_, opened)| opened.as_ref().err()) {
        writeln!(io::stderr(), "invalid: {}: {}", error.code(), chain(error))?;
    }
    match invalid.len() {
        0 => Ok(()),
        count => Err(CommandError::InvalidBundles { invalid: count, total: folders.len() }),
    }
}

/// Adds the folders with a manifest below a folder. Links are not followed, so each bundle is listed
/// once.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    if folder.join(MANIFEST_FILE).is_file() {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    if depth == MAX_DEPTH {
        return Ok(());
    }
    let failed = |source| (folder.to_path_buf(), source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            find(&entry.path(), depth + 1, found)?;
        }
    }
    Ok(())
}

impl Entry {
    fn new(bundle: &Bundle) -> Self {
        let manifest = bundle.manifest();
        Self {
            name: manifest.model_name.clone(),
            kind: manifest.task.to_string(),
            dimensions: (manifest.task == Task::Embedding).then_some(manifest.hidden_size),
            labels: manifest.labels,
            precision: manifest.precision.to_string(),
            size_bytes: manifest.files.iter().map(|file| file.size_bytes).sum(),
            digest: bundle.digest().to_owned(),
            folder: bundle.folder().display().to_string(),
        }
    }
}

fn json(entries: &[Entry], out: &mut dyn Write) -> Result<(), CommandError> {
    for entry in entries {
        serde_json::to_writer(&mut *out, entry).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

fn table(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    let header = ["NAME", "KIND", "DIMENSIONS", "PRECISION", "SIZE", "DIGEST", "FOLDER"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(entries.iter().map(|entry| {
        [
            entry.name.clone(),
            entry.kind.clone(),
            entry.dimensions.or(entry.labels).unwrap_or_default().to_string(),
            entry.precision.clone(),
            format!("{:.1} MB", entry.size_bytes as f64 / 1e6),
            entry.digest.clone(),
            entry.folder.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
