//! Changes an index: adds, replaces and deletes rows, and publishes the result as a new version.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::bits::Bits;
use super::current;
use super::error::{CorpusError, RowFault};
use super::files::{create_folder, entries, name_of, remove, sync_folder, write_whole};
use super::filter::Filter;
use super::index::{
    Index, MANIFESTS, Part, Row, SEGMENTS, STAGING, TOMBSTONES, manifest_path, row_of,
    tombstones_path,
};
use super::lock::{LOCK_FILE, try_lock};
use super::manifest::{IndexManifest, Recall, SCHEMA_VERSION, SegmentEntry, VectorSource};
use super::point::Points;
use super::prune::prune;
use super::segment::Segment;
use super::segment_writer::SegmentWriter;
use super::value::Value;
use super::{MAX_COLUMN_BYTES, MAX_COLUMNS, MAX_ID_BYTES};
use crate::bundle::{hex, map, sha256_hex};

/// How an index is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Maximum number of rows of a segment. It bounds the memory of a writer. The default is 262,144.
    pub segment_rows: usize,
    /// The least recall of the approximate search that is published. The default is 0.95.
    pub min_recall: f64,
    /// How long files of earlier versions are kept, because another host may have mapped them. The
    /// default is 24 hours.
    pub grace: Duration,
    /// Called at named points, in tests.
    pub points: Points,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            segment_rows: 262_144,
            min_recall: 0.95,
            grace: Duration::from_secs(24 * 3600),
            points: Points::default(),
        }
    }
}

/// What to do with a row whose id is that of a live row with another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Refuse the row.
    #[default]
    Refuse,
    /// Delete the earlier row.
    Replace,
}

/// What a writer published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Digest of the version.
    pub digest: String,
    /// Its manifest.
    pub manifest: IndexManifest,
    /// Whether it differs from the version before.
    pub changed: bool,
}

/// Changes one index. There is one writer at a time; nothing is visible before
/// [`publish`](Self::publish).
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    options: WriterOptions,
    source: VectorSource,
    base: Option<(String, IndexManifest)>,
    parts: Vec<Dead>,
    open: Option<OpenSegment>,
    lines: LineLog,
    /// Number of segments started, for names in the staging folder.
    started: usize,
    _lock: File,
}

/// A segment with its deleted rows.
#[derive(Debug)]
struct Dead {
    segment: Arc<Segment>,
    digest: String,
    rows: Bits,
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
        let staging = folder.join(STAGING);
        create_folder(&staging)?;
        let locked = || CorpusError::Locked { folder: folder.display().to_string() };
        let lock = try_lock(&staging)?.ok_or_else(locked)?;
        // Only the vectors that an interrupted run has embedded are of use.
        for entry in entries(&staging)? {
            if !matches!(name_of(&entry), Some(LOCK_FILE | "shards")) {
                remove(&entry)?;
            }
        }
        for entry in entries(&staging.join("shards"))? {
            if name_of(&entry).is_none_or(|name| name.ends_with(".tmp")) {
                remove(&entry)?;
            }
        }
        options.points.reach("staging");
        let lines = LineLog::new(staging.join("lines"))?;
        let folder = folder.to_path_buf();
        let (open, started) = (None, 0);
        Ok(Self { folder, options, source, base, parts, open, lines, started, _lock: lock })
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
        let path = self.shard(texts);
        match fs::read(&path) {
            Ok(bytes) if bytes.len() == texts.len() * self.source.dimensions * 4 => {
                let (values, _) = bytes.as_chunks::<4>();
                Ok(Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect()))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CorpusError::io(&path, error)),
        }
    }

    /// Saves the vectors of texts, `[texts, dim]`, so that a run after an interruption does not embed
    /// them again.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn save(&self, texts: &[&str], vectors: &[f32]) -> Result<(), CorpusError> {
        let path = self.shard(texts);
        create_folder(&self.folder.join(STAGING).join("shards"))?;
        write_whole(&path, map::bytes(vectors))?;
        self.options.points.reach("shard");
        Ok(())
    }

    fn shard(&self, texts: &[&str]) -> PathBuf {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.source.bundle_digest.as_bytes());
        part(self.source.prompt_name.as_deref().unwrap_or("\0").as_bytes());
        texts.iter().for_each(|text| part(text.as_bytes()));
        self.folder.join(STAGING).join("shards").join(hex(&hash.finalize()))
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
                let folder = self.folder.join(STAGING).join(format!("segment-{}", self.started));
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

    fn flush(&mut self) -> Result<(), CorpusError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let segments = self.folder.join(SEGMENTS);
        let rows = open.writer.rows();
        let digest = open.writer.finish(&segments, &self.options.points)?;
        let segment = Arc::new(Segment::open(&segments.join(&digest), &digest)?);
        let mut dead = Bits::none(rows);
        open.dead.iter().for_each(|&row| dead.insert(row));
        self.parts.push(Dead { segment, digest, rows: dead, first: Some(open.first) });
        Ok(())
    }

    /// Publishes the change as the current version, and removes what no version needs any more. If
    /// nothing has changed, the version stays.
    ///
    /// # Errors
    /// - [`CorpusError::Conflict`] if another version was published meanwhile.
    /// - [`CorpusError::LowRecall`] if the approximate search misses too many rows.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn publish(mut self) -> Result<Published, CorpusError> {
        self.flush()?;
        self.parts.retain(|part| part.rows.count() < part.segment.rows);
        let segments = self.parts.iter().map(|part| {
            let deleted = part.rows.count() as u64;
            let tombstones = (deleted > 0).then(|| sha256_hex(&part.rows.to_bytes()));
            let (digest, rows) = (part.digest.clone(), part.segment.rows as u64);
            SegmentEntry { digest, rows, deleted, tombstones }
        });
        let segments: Vec<SegmentEntry> = segments.collect();
        if let Some((digest, manifest)) = &self.base
            && manifest.segments == segments
        {
            self.check_base()?;
            let (digest, manifest) = (digest.clone(), manifest.clone());
            self.clean(&digest)?;
            return Ok(Published { digest, manifest, changed: false });
        }
        let mut manifest = IndexManifest {
            schema_version: SCHEMA_VERSION,
            vectors: self.source.clone(),
            rows: self.rows() as u64,
            segments,
            recall: None,
            parent: self.base.as_ref().map(|(digest, _)| digest.clone()),
        };
        manifest.recall = self.measure(&manifest)?;
        let digest = self.write(&manifest)?;
        self.clean(&digest)?;
        Ok(Published { digest, manifest, changed: true })
    }

    fn measure(&self, manifest: &IndexManifest) -> Result<Option<Recall>, CorpusError> {
        let parts = self.parts.iter().map(|part| Part {
            segment: Arc::clone(&part.segment),
            digest: part.digest.clone(),
            live: part.rows.clone().not(),
        });
        let index = Index::from_parts(&self.folder, "", manifest.clone(), parts.collect());
        let recall = index.measure_recall()?;
        match recall {
            Some(Recall { at_10, .. }) if at_10 < self.options.min_recall => {
                let (found, minimum) = (at_10, self.options.min_recall);
                Err(CorpusError::LowRecall { found, minimum })
            }
            recall => Ok(recall),
        }
    }

    fn write(&self, manifest: &IndexManifest) -> Result<String, CorpusError> {
        let (folder, points) = (&self.folder, &self.options.points);
        let tombstones = folder.join(TOMBSTONES);
        create_folder(&tombstones)?;
        for (part, entry) in self.parts.iter().zip(&manifest.segments) {
            if let Some(digest) = &entry.tombstones {
                write_whole(&tombstones_path(folder, digest), &part.rows.to_bytes())?;
            }
        }
        sync_folder(&tombstones)?;
        points.reach("tombstones");
        let manifests = folder.join(MANIFESTS);
        create_folder(&manifests)?;
        let bytes = serde_json::to_vec_pretty(manifest)
            .map_err(|error| CorpusError::io(&manifests, error.into()))?;
        let digest = sha256_hex(&bytes);
        write_whole(&manifest_path(folder, &digest), &bytes)?;
        points.reach("manifest");
        sync_folder(&manifests)?;
        // The names of the folders themselves.
        sync_folder(folder)?;
        points.reach("manifest_synced");
        self.check_base()?;
        current::replace(folder, &digest, None, points)?;
        Ok(digest)
    }

    fn check_base(&self) -> Result<(), CorpusError> {
        let (found, expected) =
            (Index::current(&self.folder)?, self.base.as_ref().map(|(digest, _)| digest.clone()));
        if found == expected {
            return Ok(());
        }
        let name = |digest: Option<String>| digest.unwrap_or_else(|| "none".to_owned());
        Err(CorpusError::Conflict { found: name(found), expected: name(expected) })
    }

    fn clean(&self, digest: &str) -> Result<(), CorpusError> {
        let staging = self.folder.join(STAGING);
        for entry in entries(&staging)? {
            if name_of(&entry) != Some(LOCK_FILE) {
                remove(&entry)?;
            }
        }
        prune(&self.folder, digest, self.options.grace, &self.options.points).map(drop)
    }
}

/// The input lines of the rows of a run, on disk: a large input has many.
#[derive(Debug)]
struct LineLog {
    path: PathBuf,
    file: File,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    rows: u64,
}

impl LineLog {
    fn new(path: PathBuf) -> Result<Self, CorpusError> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| CorpusError::io(&path, error))?;
        Ok(Self { path, file, buffer: Vec::new(), rows: 0 })
    }

    fn push(&mut self, line: u64) -> Result<u64, CorpusError> {
        self.buffer.extend(line.to_le_bytes());
        self.rows += 1;
        if self.buffer.len() >= 1 << 16 {
            self.write()?;
        }
        Ok(self.rows - 1)
    }

    fn get(&mut self, row: u64) -> Result<u64, CorpusError> {
        self.write()?;
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, row * 8)
            .map_err(|error| CorpusError::io(&self.path, error))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&mut self) -> Result<(), CorpusError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| CorpusError::io(&self.path, error))
    }
}

fn check_row(row: &Row) -> Result<(), RowFault> {
    let bytes = row.id.len();
    if !(1..=MAX_ID_BYTES).contains(&bytes) || row.id.chars().any(char::is_control) {
        return Err(RowFault::BadId { bytes });
    }
    for (name, value) in &row.metadata {
        let bytes = name.len();
        if !(1..=MAX_COLUMN_BYTES).contains(&bytes) || name.starts_with('$') {
            return Err(RowFault::BadColumn { bytes });
        }
        if matches!(value, Value::Number(number) if !number.is_finite()) {
            return Err(RowFault::NotFinite);
        }
    }
    match row.metadata.len() {
        0..=MAX_COLUMNS => Ok(()),
        _ => Err(RowFault::TooManyColumns { limit: MAX_COLUMNS }),
    }
}

/// Returns a vector of unit length.
pub(crate) fn unit(vector: &[f32], dim: usize) -> Result<Vec<f32>, CorpusError> {
    if vector.len() != dim {
        return Err(CorpusError::WrongDimensions { found: vector.len(), expected: dim });
    }
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return Err(CorpusError::DegenerateVector { index: 0 });
    }
    // A row that is normalized in f32 keeps its bits.
    if (norm - 1.0).abs() < 1e-6 {
        return Ok(vector.to_vec());
    }
    Ok(vector.iter().map(|&x| (f64::from(x) / norm) as f32).collect())
}
