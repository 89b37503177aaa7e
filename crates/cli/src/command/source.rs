//! The corpus of a command that compares its rows: an index, or rows that are embedded first.

use std::path::Path;

use semblance::corpus::{Index, OnDuplicate, VectorPrecision, Writer, WriterOptions};
use tempfile::TempDir;

use super::index::add::{Adding, vector_source};
use super::rows::Rows;
use crate::arguments::CorpusArguments;
use crate::error::CommandError;
use crate::settings::Settings;

/// A corpus.
pub(super) struct Source {
    pub(super) index: Index,
    /// The folder of an index of rows, which is deleted in the end.
    _temporary: Option<TempDir>,
}

impl Source {
    /// Opens an index, or embeds rows into a temporary one.
    pub(super) fn open(arguments: &CorpusArguments) -> Result<Self, CommandError> {
        let path = &arguments.corpus;
        let is_stdin = path == Path::new("-");
        if !is_stdin && (path.is_dir() || !path.exists()) {
            return Ok(Self { index: Index::open(path)?, _temporary: None });
        }
        let settings = Settings::new(&arguments.model)?;
        let rows = Rows::open(path, &arguments.rows, settings.limits())?;
        let model = settings.load()?;
        let folder = TempDir::with_prefix("semblance-").map_err(|source| {
            CommandError::WriteFile { path: "a temporary folder".to_owned(), source }
        })?;
        let source = vector_source(&model, None, VectorPrecision::F32)?;
        // Nothing is searched, so recall does not matter.
        let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
        let writer = Writer::create(folder.path(), source, options)?;
        Adding::new(writer, &model, arguments.rows.bad_rows, OnDuplicate::Refuse).run(rows)?;
        Ok(Self { index: Index::open(folder.path())?, _temporary: Some(folder) })
    }
}
