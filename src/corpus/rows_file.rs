//! The file of a segment for other programs. The engine does not know its format; the command line
//! writes it.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::columns::Columns;
use super::error::CorpusError;
use super::index::Row;
use super::texts::Texts;
use super::value::Value;

/// The function that writes the file.
type Write = dyn Fn(&File, &SegmentRows<'_>) -> io::Result<()> + Send + Sync;

/// Writes the rows of a segment for other programs, as `rows.parquet`.
#[derive(Clone)]
pub struct RowsFile(Arc<Write>);

impl RowsFile {
    /// Returns a writer of the file. The function gets an empty file and the rows of a segment.
    #[must_use]
    pub fn new(
        write: impl Fn(&File, &SegmentRows<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(write))
    }

    /// Writes the file and makes its content durable.
    pub(crate) fn write(&self, path: &Path, rows: &SegmentRows<'_>) -> Result<(), CorpusError> {
        let written = File::create(path).and_then(|file| {
            (self.0)(&file, rows)?;
            file.sync_all()
        });
        written.map_err(|error| CorpusError::io(path, error))
    }
}

impl fmt::Debug for RowsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowsFile")
    }
}

/// The rows of a segment that is being written.
#[derive(Debug)]
pub struct SegmentRows<'a> {
    pub(crate) texts: &'a Texts,
    pub(crate) columns: &'a Columns,
    pub(crate) rows: usize,
}

impl SegmentRows<'_> {
    /// Number of rows, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows
    }

    /// Names of the columns of metadata, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.names()
    }

    /// The distinct values of a column, without null.
    pub fn values(&self, column: &str) -> impl Iterator<Item = Value> {
        let view = self.columns.get(column);
        view.into_iter().flat_map(|view| {
            let codes = 1..u32::try_from(view.codes()).unwrap_or(u32::MAX);
            codes.filter_map(move |code| Some(view.value(code)?.to_owned()))
        })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if the file changed while it was written.
    pub fn row(&self, row: usize) -> Result<Row, CorpusError> {
        Row::read(self.texts, self.columns, row)
    }
}
