//! Changes an index: adds, replaces and deletes rows, and publishes the result as a new version.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MAX_COLUMNS;
use super::bits::Bits;
use super::error::{CorpusError, RowFault};
use super::files::create_folder;
use super::filter::Filter;
use super::index::{Index, Row, SEGMENTS, row_of};
use super::line_log::LineLog;
use super::manifest::{IndexManifest, VectorSource};
use super::row_check::check_row;
use super::segment::{ReadAhead, Segment};
use super::segment_writer::SegmentWriter;
use super::staging::Staging;
use super::unit::unit;
use super::value::Value;
use super::writer_options::{OnDuplicate, WriterOptions};

/// Changes one index. There is one writer at a time; nothing is visible before
/// [`publish`](Self::publish).
#[derive(Debug)]
pub struct Writer {
    pub(super) folder: PathBuf,
    pub(super) staging: Staging,
    pub(super) options: WriterOptions,
    pub(super) source: VectorSource,
    pub(super) base: Option<(String, IndexManifest)>,
    pub(super) parts: Vec<Dead>,
    open: Option<OpenSegment>,
    lines: LineLog,
    /// Number of segments started, for names in the staging folder.
    started: usize,
}

/// A segment with its deleted rows.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) segment: Arc<Segment>,
    pub(super) digest: String,
    pub(super) rows: Bits,
    /// Number of its first row among the rows of this run; none if it was published before.
    first: Option<u64>,
}

struct OpenSegment {
    writer: SegmentWriter,
    ids: HashMap<String, usize>,
    dead: Vec<usize>,
    first: u64,
}

impl std::fmt::Debug for OpenSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenSegment({} rows)", self.writer.rows())
    }
}

/// Where the live row with an id is.
enum Found {
    Published(usize, usize),
    Written(usize, usize, u64),
    Open(usize, u64),
}

impl Writer {
    /// Starts an index in a folder, which is created.
    ///
    /// # Errors
    /// - [`CorpusError::Exists`] if the folder has an index.
    /// - [`CorpusError::Locked`] if another process writes it.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn create(
        folder: &Path,
        source: VectorSource,
        options: WriterOptions,
    ) -> Result<Self, CorpusError> {
        create_folder(folder)?;
        let writer = Self::start(folder, source, None, Vec::new(), options)?;
        match Index::current(folder)? {
            None => Ok(writer),
            Some(_) => Err(CorpusError::Exists { folder: folder.display().to_string() }),
        }
    }

    /// Starts a change of the current version of an index.
    ///
    /// # Errors
    /// - As [`Index::open`].
    /// - [`CorpusError::Locked`] if another process writes the index.
    pub fn open(folder: &Path, options: WriterOptions) -> Result<Self, CorpusError> {
        let index = Index::open(folder)?;
        let parts = index.parts.iter().map(|part| Dead {
            segment: Arc::clone(&part.segment),
            digest: part.digest.clone(),
            rows: part.live.clone().not(),
            first: None,
        });
        let (parts, manifest) = (parts.collect(), index.manifest().clone());
        let base = Some((index.digest().to_owned(), manifest.clone()));
        Self::start(folder, manifest.vectors, base, parts, options)
    }

    fn start(
        folder: &Path,
        source: VectorSource,
        base: Option<(String, IndexManifest)>,
        parts: Vec<Dead>,
        options: WriterOptions,
    ) -> Result<Self, CorpusError> {
        let staging = Staging::take(folder)?;
        options.points.reach("staging");
        let lines = LineLog::new(staging.lines())?;
        let folder = folder.to_path_buf();
        let (open, started) = (None, 0);
        Ok(Self { folder, staging, options, source, base, parts, open, lines, started })
    }

    /// What the vectors are.
    #[must_use]
    pub fn source(&self) -> &VectorSource {
        &self.source
    }

    /// Number of live rows, those that were added included.
    #[must_use]
    pub fn rows(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.segment.rows - part.rows.count());
        let open = self.open.as_ref().map_or(0, |open| open.writer.rows() - open.dead.len());
        parts.sum::<usize>() + open
    }

    /// Returns the vectors of these texts, `[texts, dim]`, if an interrupted run has saved them.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn saved(&self, texts: &[&str]) -> Result<Option<Vec<f32>>, CorpusError> {
        self.staging.saved(&self.source, texts)
    }

    /// Saves the vectors of texts, `[texts, dim]`, so that a run after an interruption does not embed
    /// them again.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn save(&self, texts: &[&str], vectors: &[f32]) -> Result<(), CorpusError> {
        self.staging.save(&self.source, texts, vectors)?;
        self.options.points.reach("shard");
        Ok(())
    }

    /// Whether the published version has this row already, unchanged. It need not be embedded again.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if a file of the index is damaged.
    pub fn has(&self, row: &Row) -> Result<bool, CorpusError> {
        match self.find(&row.id)? {
            Some(Found::Published(part, index)) => {
                let known = row_of(&self.parts[part].segment, index)?;
                let mut metadata = row.metadata.clone();
                metadata.retain(|(_, value)| *value != Value::Null);
                metadata.sort_by(|a, b| a.0.cmp(&b.0));
                Ok(known.text == row.text && known.metadata == metadata)
            }
            _ => Ok(false),
        }
    }

    /// Adds a row with its vector, `[dim]`. `line` is its line in the input, from 1. The vector is
    /// normalized if it is not of unit length.
    ///
    /// # Errors
    /// - The inner [`RowFault`] if the row is refused; the writer goes on.
    /// - [`CorpusError::WrongDimensions`], [`CorpusError::DegenerateVector`] if the vector is invalid.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn push(
        &mut self,
        row: &Row,
        line: u64,
        vector: &[f32],
        on_duplicate: OnDuplicate,
    ) -> Result<Result<(), RowFault>, CorpusError> {
        if let Err(fault) = check_row(row) {
            return Ok(Err(fault));
        }
        let vector = &unit(vector, self.source.dimensions)?;
        let found = self.find(&row.id)?;
        match (&found, on_duplicate) {
            (None, _) | (_, OnDuplicate::Replace) => {}
            (Some(Found::Published(..)), OnDuplicate::Refuse) => return Ok(Err(RowFault::KnownId)),
            (Some(Found::Written(.., number) | Found::Open(_, number)), OnDuplicate::Refuse) => {
                let first_line = self.lines.get(*number)?;
                return Ok(Err(RowFault::RepeatedId { first_line }));
            }
        }
        let open = self.open.as_ref();
        if open.is_some_and(|open| open.writer.columns_with(&row.metadata) > MAX_COLUMNS) {
            return Ok(Err(RowFault::TooManyColumns { limit: MAX_COLUMNS }));
        }
        if let Some(found) = found {
            self.mark_dead(found, &row.id);
        }
        self.add(row, line, vector)?;
        Ok(Ok(()))
    }

    /// Deletes the live row with an id. Returns whether there was one.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if a file of the index is damaged.
    pub fn delete(&mut self, id: &str) -> Result<bool, CorpusError> {
        let found = self.find(id)?;
        let existed = found.is_some();
        if let Some(found) = found {
            self.mark_dead(found, id);
        }
        Ok(existed)
    }

    /// Deletes the published rows that pass a filter. Returns their number.
    ///
    /// # Errors
    /// - [`CorpusError::UnknownColumn`] if no segment has a column of the filter.
    /// - [`CorpusError::Damaged`] if a file of the index is damaged.
    pub fn delete_where(&mut self, filter: &Filter) -> Result<usize, CorpusError> {
        filter.check(self.parts.iter().map(|part| &*part.segment))?;
        let mut deleted = 0;
        for part in &mut self.parts {
            let before = part.rows.count();
            part.rows.or(&filter.rows(&part.segment)?);
            deleted += part.rows.count() - before;
        }
        Ok(deleted)
    }

    /// Writes all live rows to new segments, without the deleted ones.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn compact(&mut self) -> Result<(), CorpusError> {
        self.flush()?;
        for part in std::mem::take(&mut self.parts) {
            let _in_order = part.segment.read_in_order();
            for index in part.rows.clone().not().iter() {
                let vector = part.segment.vector(index).into_owned();
                self.add(&row_of(&part.segment, index)?, 0, &vector)?;
            }
        }
        Ok(())
    }

    fn find(&self, id: &str) -> Result<Option<Found>, CorpusError> {
        if let Some(open) = &self.open
            && let Some(&row) = open.ids.get(id)
        {
            return Ok(Some(Found::Open(row, open.first + row as u64)));
        }
        for (index, part) in self.parts.iter().enumerate() {
            for row in part.segment.find(id)? {
                if !part.rows.contains(row) {
                    return Ok(Some(match part.first {
                        None => Found::Published(index, row),
                        Some(first) => Found::Written(index, row, first + row as u64),
                    }));
                }
            }
        }
        Ok(None)
    }

    fn mark_dead(&mut self, found: Found, id: &str) {
        match found {
            Found::Published(part, row) | Found::Written(part, row, _) => {
                self.parts[part].rows.insert(row);
            }
            Found::Open(row, _) => {
                if let Some(open) = &mut self.open {
                    open.ids.remove(id);
                    open.dead.push(row);
                }
            }
        }
    }

    fn add(&mut self, row: &Row, line: u64, vector: &[f32]) -> Result<(), CorpusError> {
        let number = self.lines.push(line)?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let folder = self.staging.segment(self.started);
                self.started += 1;
                let writer = SegmentWriter::new(folder, self.source.clone())?;
                OpenSegment { writer, ids: HashMap::new(), dead: Vec::new(), first: number }
            }
        };
        open.ids.insert(row.id.clone(), open.writer.rows());
        open.writer.push(&row.id, &row.text, &row.metadata, vector)?;
        let full = open.writer.rows() >= self.options.segment_rows;
        self.open = Some(open);
        if full { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), CorpusError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let segments = self.folder.join(SEGMENTS);
        let rows = open.writer.rows();
        let WriterOptions { rows_file, points, .. } = &self.options;
        let digest = open.writer.finish(&segments, rows_file.as_ref(), points)?;
        let segment =
            Arc::new(Segment::open(&segments.join(&digest), &digest, ReadAhead::Nothing)?);
        let mut dead = Bits::none(rows);
        open.dead.iter().for_each(|&row| dead.insert(row));
        self.parts.push(Dead { segment, digest, rows: dead, first: Some(open.first) });
        Ok(())
    }
}
