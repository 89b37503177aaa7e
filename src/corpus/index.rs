//! An index: a folder with segments and versions, of which `CURRENT` names one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::bits::Bits;
use super::columns::Columns;
use super::error::CorpusError;
use super::files::{check_is_file, read_small};
use super::manifest::{IndexManifest, SegmentEntry};
use super::search::EXACT_ROWS;
use super::segment::{InOrder, ReadAhead, Segment};
use super::texts::Texts;
use super::together::together;
use super::value::Value;
use crate::bundle::{is_sha256, sha256_hex};
use crate::kernels::Kernels;
use crate::threads::start;

/// Name of the file with the digest of the current version.
pub(crate) const CURRENT_FILE: &str = "CURRENT";
/// Name of the folder of versions.
pub(crate) const MANIFESTS: &str = "manifests";
/// Name of the folder of segments.
pub(crate) const SEGMENTS: &str = "segments";
/// Name of the folder of sets of deleted rows.
pub(crate) const TOMBSTONES: &str = "tombstones";
/// Name of the folder of unfinished work.
pub(crate) const STAGING: &str = ".staging";

/// An open version of an index. It does not change; a new version is opened next to it.
#[derive(Clone, Debug)]
pub struct Index {
    folder: PathBuf,
    digest: String,
    manifest: IndexManifest,
    pub(crate) parts: Vec<Part>,
    pub(crate) kernels: Kernels,
}

/// A segment with its live rows.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) segment: Arc<Segment>,
    pub(crate) digest: String,
    pub(crate) live: Bits,
}

/// A row of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id, unique among the live rows.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its metadata, ordered by column, without nulls.
    pub metadata: Vec<(String, Value)>,
}

/// The place of a row: a segment of the version, and a row of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) part: u32,
    pub(crate) row: u32,
}

impl Index {
    /// Opens the current version of an index. Files are mapped; vectors and texts are not read.
    ///
    /// # Errors
    /// - [`CorpusError::NotFound`] if the folder has no index.
    /// - [`CorpusError::InvalidManifest`], [`CorpusError::SizeMismatch`], [`CorpusError::Damaged`] if
    ///   a file is invalid.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn open(folder: &Path) -> Result<Self, CorpusError> {
        Self::open_version(folder, &Self::current_or_error(folder)?)
    }

    /// Opens the current version of an index, and requests from the disk what a search of all rows
    /// reads of every row by default. Does not wait for it.
    ///
    /// # Errors
    /// - As [`Index::open`].
    pub fn open_for_search(folder: &Path) -> Result<Self, CorpusError> {
        let digest = thread::scope(|scope| {
            // On a network file system, the first access to a folder takes a request. This makes it while `CURRENT` is
            // read.
            start(scope, || {
                [MANIFESTS, SEGMENTS].map(|name| fs::symlink_metadata(folder.join(name)).is_ok())
            });
            Self::current_or_error(folder)
        })?;
        Self::open_with(folder, &digest, |rows| match rows {
            0..=EXACT_ROWS => ReadAhead::Exact,
            _ => ReadAhead::Approximate,
        })
    }

    fn current_or_error(folder: &Path) -> Result<String, CorpusError> {
        let missing = || CorpusError::NotFound { folder: folder.display().to_string() };
        Self::current(folder)?.ok_or_else(missing)
    }

    /// Returns the digest of the current version, or none if there is no index.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if `CURRENT` is not a digest.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn current(folder: &Path) -> Result<Option<String>, CorpusError> {
        let path = folder.join(CURRENT_FILE);
        let line = match read_small(&path) {
            Ok(bytes) => bytes,
            Err(CorpusError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let digest = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix('\n'));
        match digest.filter(|digest| is_sha256(digest)) {
            Some(digest) => Ok(Some(digest.to_owned())),
            None => Err(CorpusError::damaged(&path, "it is not a digest and a line feed")),
        }
    }

    /// Opens a version of an index.
    ///
    /// # Errors
    /// - As [`Index::open`].
    pub fn open_version(folder: &Path, digest: &str) -> Result<Self, CorpusError> {
        Self::open_with(folder, digest, |_| ReadAhead::Nothing)
    }

    /// `ahead` decides by the number of live rows.
    fn open_with(
        folder: &Path,
        digest: &str,
        ahead: impl Fn(usize) -> ReadAhead,
    ) -> Result<Self, CorpusError> {
        let path = manifest_path(folder, digest);
        let bytes = read_small(&path)?;
        if sha256_hex(&bytes) != digest {
            return Err(CorpusError::damaged(&path, "its digest is not its name"));
        }
        let manifest = IndexManifest::parse(&path, &bytes)?;
        let rows = manifest
            .segments
            .iter()
            .map(|entry| entry.rows.saturating_sub(entry.deleted))
            .sum::<u64>();
        let ahead = ahead(usize::try_from(rows).unwrap_or(usize::MAX));
        let open = |(index, entry): (usize, &SegmentEntry)| {
            let target = folder.join(SEGMENTS).join(&entry.digest);
            let segment = Segment::open(&target, &entry.digest, ahead)?;
            let field = |name: &str| format!("segments[{index}].{name}");
            if segment.rows as u64 != entry.rows {
                let reason = format!("the segment has {} rows", segment.rows);
                return Err(CorpusError::manifest(&path, &field("rows"), reason));
            }
            if segment.manifest.vectors != manifest.vectors {
                let reason = "the segment has vectors of another source";
                return Err(CorpusError::manifest(&path, &field("digest"), reason));
            }
            let live = match &entry.tombstones {
                Some(digest) => read_tombstones(folder, digest, entry)?.not(),
                None => Bits::all(segment.rows),
            };
            Ok(Part { segment: Arc::new(segment), digest: entry.digest.clone(), live })
        };
        let entries: Vec<(usize, &SegmentEntry)> = manifest.segments.iter().enumerate().collect();
        let parts = together(&entries, open)?;
        Ok(Self::from_parts(folder, digest, manifest, parts))
    }

    pub(crate) fn from_parts(
        folder: &Path,
        digest: &str,
        manifest: IndexManifest,
        parts: Vec<Part>,
    ) -> Self {
        let (folder, digest) = (folder.to_path_buf(), digest.to_owned());
        Self { folder, digest, manifest, parts, kernels: Kernels::detect() }
    }

    /// Searches with these kernels, for comparisons.
    #[doc(hidden)]
    #[must_use]
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// Returns an error if the vectors are those of another bundle.
    ///
    /// # Errors
    /// - [`CorpusError::OtherBundle`] if the digests differ.
    pub fn check_bundle(&self, digest: &str) -> Result<(), CorpusError> {
        let index = &self.manifest.vectors.bundle_digest;
        if index == digest {
            return Ok(());
        }
        Err(CorpusError::OtherBundle { index: index.clone(), bundle: digest.to_owned() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The digest of this version.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The manifest of this version.
    #[must_use]
    pub fn manifest(&self) -> &IndexManifest {
        &self.manifest
    }

    /// Number of live rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.live.count()).sum()
    }

    /// Whether there are no live rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns of metadata, in order.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.parts.iter().flat_map(|part| part.segment.columns.names()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The live rows with their vectors, `[dim]`, f32, of unit length, in the order in which they were
    /// added.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if a file is damaged.
    pub fn rows(&self) -> impl Iterator<Item = Result<(Row, Vec<f32>), CorpusError>> {
        let in_order = self.read_in_order();
        self.places().into_iter().map(move |place| {
            let _ = &in_order;
            let vector = self.parts[place.part as usize].segment.vector(place.row as usize);
            Ok((self.row(place)?, vector.into_owned()))
        })
    }

    /// Lets the operating system read ahead, while the guards exist, in files that are read in order.
    pub(crate) fn read_in_order(&self) -> Vec<InOrder<'_>> {
        self.parts.iter().map(|part| part.segment.read_in_order()).collect()
    }

    /// Returns a reader of single rows.
    #[must_use]
    pub fn reader(&self) -> RowReader<'_> {
        RowReader { index: self, places: self.places() }
    }

    /// The places of the live rows, in the order in which they were added.
    pub(crate) fn places(&self) -> Vec<Place> {
        let numbered = (0..).zip(&self.parts);
        numbered
            .flat_map(|(part, p)| p.live.iter().map(move |row| Place { part, row: row as u32 }))
            .collect()
    }

    pub(crate) fn row(&self, place: Place) -> Result<Row, CorpusError> {
        let segment = &self.parts[place.part as usize].segment;
        row_of(segment, place.row as usize)
    }
}

/// Reads live rows by their numbers, in the order of [`Index::rows`].
#[derive(Debug)]
pub struct RowReader<'a> {
    index: &'a Index,
    places: Vec<Place>,
}

impl RowReader<'_> {
    /// Returns a row.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if a file is damaged, or there is no row of this number.
    pub fn row(&self, number: usize) -> Result<Row, CorpusError> {
        match self.places.get(number) {
            Some(&place) => self.index.row(place),
            None => {
                let reason = format!("there is no row {number}");
                Err(CorpusError::damaged(&self.index.folder, reason))
            }
        }
    }
}

/// Reads a row of a segment.
pub(crate) fn row_of(segment: &Segment, row: usize) -> Result<Row, CorpusError> {
    Row::read(&segment.texts, &segment.columns, row)
}

impl Row {
    pub(crate) fn read(texts: &Texts, columns: &Columns, row: usize) -> Result<Self, CorpusError> {
        Ok(Self {
            id: texts.id(row)?.to_owned(),
            text: texts.text(row)?.to_owned(),
            metadata: columns.row(row)?,
        })
    }
}

pub(crate) fn manifest_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join(MANIFESTS).join(format!("{digest}.json"))
}

pub(crate) fn tombstones_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join(TOMBSTONES).join(format!("{digest}.bits"))
}

fn read_tombstones(folder: &Path, digest: &str, entry: &SegmentEntry) -> Result<Bits, CorpusError> {
    let path = tombstones_path(folder, digest);
    let (found_bytes, expected_bytes) =
        (check_is_file(&path)?, entry.rows.div_ceil(64).saturating_mul(8));
    if found_bytes != expected_bytes {
        let file = path.display().to_string();
        return Err(CorpusError::SizeMismatch { file, found_bytes, expected_bytes });
    }
    let bytes = fs::read(&path).map_err(|error| CorpusError::io(&path, error))?;
    if sha256_hex(&bytes) != digest {
        return Err(CorpusError::damaged(&path, "its digest is not its name"));
    }
    let rows = usize::try_from(entry.rows).unwrap_or(usize::MAX);
    match Bits::from_bytes(rows, &bytes) {
        Some(bits) if bits.count() as u64 == entry.deleted => Ok(bits),
        _ => Err(CorpusError::damaged(&path, "it is not a set of the declared size")),
    }
}
