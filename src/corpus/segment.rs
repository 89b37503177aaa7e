//! A segment: an immutable folder of rows with their vectors, codes, texts and metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;

use super::codes::{BYTE_FACTORS, ByteFactors, half_bytes, sign_words};
use super::columns::{COLUMNS_FILE, Columns};
use super::error::CorpusError;
use super::files::{check_is_file, check_is_folder, read_small};
use super::half::from_half;
use super::ids::{self, IDS_FILE};
use super::manifest::{
    BYTE_FACTORS_FILE, CENTER_FILE, FILES, FileEntry, LOWER_FILE, PARQUET_FILE, SEGMENT_FILE,
    SIGN_FACTORS_FILE, SIGNS_FILE, SegmentManifest, UPPER_FILE, VECTORS_FILE, VectorPrecision,
};
use super::npy::{HEADER_BYTES, header};
use super::texts::{TEXTS_FILE, Texts};
use crate::bundle::map::{self, Mmap};
use crate::bundle::sha256_hex;
use crate::threads::start;

/// An open segment. Its files are mapped; only its manifest and the headers have been read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: SegmentManifest,
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) columns: Columns,
    pub(crate) texts: Texts,
    vectors: Mmap,
    signs: Mmap,
    sign_factors: Mmap,
    upper: Mmap,
    lower: Mmap,
    byte_factors: Mmap,
    center: Vec<f32>,
    ids: Mmap,
}

/// What is requested from the disk while a segment is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadAhead {
    Nothing,
    /// What an exact search reads of every row or of many.
    Exact,
    /// What an approximate search reads of every row.
    Approximate,
}

impl ReadAhead {
    fn has(self, file: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Exact => [UPPER_FILE, BYTE_FACTORS_FILE, LOWER_FILE].contains(&file),
            Self::Approximate => [SIGNS_FILE, SIGN_FACTORS_FILE].contains(&file),
        }
    }
}

/// A step of [`Segment::each_part`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowStep {
    First,
    Second,
    Last,
}

impl RowStep {
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Second, Self::Last];
}

/// The maps in which the operating system reads ahead.
pub(crate) struct InOrder<'a>(Vec<&'a Mmap>);

impl Drop for InOrder<'_> {
    fn drop(&mut self) {
        // A hint: without it, a search reads more than it needs.
        self.0.iter().for_each(|map| drop(map::read_sparsely(map)));
    }
}

impl Segment {
    /// Opens the segment `segments/<digest>`. Checks the digest of its manifest, the sizes of its
    /// files and the headers, not their contents.
    pub(crate) fn open(folder: &Path, digest: &str, ahead: ReadAhead) -> Result<Self, CorpusError> {
        let path = folder.join(SEGMENT_FILE);
        let (manifest, mut maps) = thread::scope(|scope| {
            // The codes are requested at the same time, because the manifest and the other files take several
            // requests on a network file system.
            start(scope, move || request_files(folder, ahead));
            check_is_folder(folder)?;
            let bytes = read_small(&path)?;
            if sha256_hex(&bytes) != digest {
                let reason = "its digest is not the name of its folder";
                return Err(CorpusError::damaged(&path, reason));
            }
            let manifest = SegmentManifest::parse(&path, &bytes)?;
            let maps = open_files(folder, &manifest, ahead)?;
            Ok((manifest, maps))
        })?;
        let rows = usize::try_from(manifest.rows).unwrap_or(0);
        let dim = manifest.vectors.dimensions;
        let mut take = |name: &str| {
            let missing = || CorpusError::damaged(&folder.join(name), "it is empty");
            maps.remove(name).ok_or_else(missing)
        };
        let mut array = |name: &str, kind: &str, columns: usize| {
            let (map, rows) = (take(name)?, if name == CENTER_FILE { 1 } else { rows });
            match map.get(..HEADER_BYTES) == Some(&header(kind, rows, columns)) {
                true => Ok(map),
                false => {
                    let reason =
                        format!("its NumPy header is not that of {kind} [{rows}, {columns}]");
                    Err(CorpusError::damaged(&folder.join(name), reason))
                }
            }
        };
        let vectors = array(VECTORS_FILE, manifest.vectors.precision.numpy(), dim)?;
        let signs = array(SIGNS_FILE, "|u1", sign_words(dim) * 8)?;
        let sign_factors = array(SIGN_FACTORS_FILE, "<f4", 1)?;
        let upper = array(UPPER_FILE, "|u1", half_bytes(dim))?;
        let lower = array(LOWER_FILE, "|u1", half_bytes(dim))?;
        let byte_factors = array(BYTE_FACTORS_FILE, "<f4", BYTE_FACTORS)?;
        let center = array(CENTER_FILE, "<f4", dim)?;
        let center = rows_of::<f32>(&center).to_vec();
        let texts = Texts::new(folder.join(TEXTS_FILE), take(TEXTS_FILE)?, rows)?;
        let columns = match manifest.columns.is_empty() {
            true => None,
            false => Some(take(COLUMNS_FILE)?),
        };
        let columns =
            Columns::new(folder.join(COLUMNS_FILE), columns, manifest.columns.clone(), rows);
        let ids = take(IDS_FILE)?;
        let folder = folder.to_path_buf();
        Ok(Self {
            folder,
            manifest,
            rows,
            dim,
            columns,
            texts,
            vectors,
            signs,
            sign_factors,
            upper,
            lower,
            byte_factors,
            center,
            ids,
        })
    }

    /// The vector of a row, `[dim]`, of unit length.
    pub(crate) fn vector(&self, row: usize) -> Cow<'_, [f32]> {
        match self.manifest.vectors.precision {
            VectorPrecision::F32 => Cow::Borrowed(part(rows_of(&self.vectors), row, self.dim)),
            VectorPrecision::F16 => {
                let halves = part::<u16>(rows_of(&self.vectors), row, self.dim);
                Cow::Owned(halves.iter().map(|&half| from_half(half)).collect())
            }
        }
    }

    /// Checks the values of the vectors and the factors: a row that is not of unit length, or a factor
    /// that is not finite, makes a search return wrong rows.
    pub(crate) fn check_values(&self) -> Result<(), CorpusError> {
        for row in 0..self.rows {
            let norm = self.vector(row).iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            // Values of 16 bits are rounded.
            let is_unit = (norm.sqrt() - 1.0).abs() < 1e-3;
            if !is_unit {
                let reason = format!("row {row} is not a vector of unit length");
                return Err(CorpusError::damaged(&self.folder.join(VECTORS_FILE), reason));
            }
        }
        let arrays = [
            (SIGN_FACTORS_FILE, &self.sign_factors, 1),
            (BYTE_FACTORS_FILE, &self.byte_factors, BYTE_FACTORS),
        ];
        for (name, map, columns) in arrays {
            let wrong = rows_of::<f32>(map).iter().position(|value| !value.is_finite());
            if let Some(position) = wrong {
                let reason = format!("a value of row {} is not finite", position / columns);
                return Err(CorpusError::damaged(&self.folder.join(name), reason));
            }
        }
        match self.center.iter().all(|value| value.is_finite()) {
            true => Ok(()),
            false => {
                Err(CorpusError::damaged(&self.folder.join(CENTER_FILE), "a value is not finite"))
            }
        }
    }

    /// The error of a row whose vector gives no score.
    pub(crate) fn no_score(&self, row: usize) -> CorpusError {
        let reason = format!("row {row} has values that are not finite");
        CorpusError::damaged(&self.folder.join(VECTORS_FILE), reason)
    }

    /// Requests the pages of a vector. Does not wait.
    pub(crate) fn will_need(&self, row: usize) {
        let row_bytes = self.dim * self.manifest.vectors.precision.bytes();
        let start = HEADER_BYTES + row * row_bytes;
        // A hint: if it fails, the pages are read when they are accessed.
        let _ = map::will_need(&self.vectors, start..start + row_bytes);
    }

    /// Visits the parts of files that a row needs at a step: the places of its text and values, then
    /// the text and the places of the values in their columns, then the values. A step reads what the
    /// one before visited.
    pub(crate) fn each_part(
        &self,
        row: usize,
        step: RowStep,
        mut visit: impl FnMut(&Mmap, Range<usize>),
    ) {
        let texts = match step {
            RowStep::First => Some(self.texts.bounds_of(row)),
            RowStep::Second => self.texts.bytes_of(row),
            RowStep::Last => None,
        };
        if let Some(part) = texts {
            visit(self.texts.map(), part);
        }
        if let Some(map) = self.columns.map() {
            let visit = |part| visit(map, part);
            match step {
                RowStep::First => self.columns.codes_of(row).for_each(visit),
                RowStep::Second => self.columns.bounds_of(row).for_each(visit),
                RowStep::Last => self.columns.values_of(row).for_each(visit),
            }
        }
    }

    /// Lets the operating system read ahead, while the guard exists, in the files of which a search
    /// reads few pages. For reading all rows in order.
    pub(crate) fn read_in_order(&self) -> InOrder<'_> {
        let maps = [Some(&self.vectors), Some(self.texts.map()), self.columns.map()];
        let guard = InOrder(maps.into_iter().flatten().collect());
        // A hint: without it, the pages are read one by one.
        guard.0.iter().for_each(|map| drop(map::read_in_order(map)));
        guard
    }

    /// The bytes of a vector.
    pub(crate) fn vector_bytes(&self, row: usize) -> &[u8] {
        let width = self.dim * self.manifest.vectors.precision.bytes();
        part(self.vectors.get(HEADER_BYTES..).unwrap_or_default(), row, width)
    }

    /// The 1-bit codes, `[rows, words]`.
    pub(crate) fn signs(&self) -> &[u64] {
        rows_of(&self.signs)
    }

    /// The factors of the estimates from the 1-bit codes, `[rows]`.
    pub(crate) fn sign_factors(&self) -> &[f32] {
        rows_of(&self.sign_factors)
    }

    /// The upper halves of the 8-bit codes, `[rows, half]`.
    pub(crate) fn upper(&self) -> &[u8] {
        self.upper.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// The lower halves of the 8-bit codes, `[rows, half]`.
    pub(crate) fn lower(&self) -> &[u8] {
        self.lower.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// The factors of the 8-bit codes, `[rows, 4]`.
    pub(crate) fn byte_factors(&self) -> &[ByteFactors] {
        rows_of::<f32>(&self.byte_factors).as_chunks().0
    }

    /// The mean of the vectors.
    pub(crate) fn center(&self) -> &[f32] {
        &self.center
    }

    /// Returns the rows with an id, deleted ones included.
    pub(crate) fn find(&self, id: &str) -> Result<Vec<usize>, CorpusError> {
        ids::find(&self.ids, &self.texts, id)
    }
}

/// Files of which a search reads few pages.
const SPARSE_FILES: [&str; 4] = [VECTORS_FILE, TEXTS_FILE, IDS_FILE, COLUMNS_FILE];

/// Checks the sizes of the files and maps those that are not empty, all at the same time: on a network
/// file system, each of them takes several requests, one after another.
fn open_files(
    folder: &Path,
    manifest: &SegmentManifest,
    ahead: ReadAhead,
) -> Result<HashMap<String, Mmap>, CorpusError> {
    thread::scope(|scope| {
        let files: Vec<_> = manifest
            .files
            .iter()
            .map(|(name, file)| {
                (name, start(scope, move || open_file(&folder.join(name), name, file, ahead)))
            })
            .collect();
        let mut maps = HashMap::new();
        for (name, file) in files {
            if let Some(map) = file.join()? {
                maps.insert(name.clone(), map);
            }
        }
        Ok(maps)
    })
}

/// The largest part of a file that is requested before its size is checked: the 1-bit codes of a million
/// rows of 384 dimensions. A file with a hole can have any size.
const UNCHECKED_BYTES: usize = 64 << 20;

/// Requests the content of the files that a search reads for each row. The next file is looked up while the one before
/// is read. This is a hint: [`Segment::open`] reports the errors.
fn request_files(folder: &Path, ahead: ReadAhead) -> Option<()> {
    check_is_folder(folder).ok()?;
    for name in FILES.into_iter().filter(|name| ahead.has(name)) {
        request_file(&folder.join(name));
    }
    Some(())
}

/// Requests the content of a file before its size is checked. Does not wait for it. This is a hint:
/// [`open_file`] reports the errors.
fn request_file(path: &Path) -> Option<()> {
    check_is_file(path).ok()?;
    let map = map::map(path).ok()?;
    map::will_need(&map, 0..map.len().min(UNCHECKED_BYTES)).ok()
}

fn open_file(
    path: &Path,
    name: &str,
    file: &FileEntry,
    ahead: ReadAhead,
) -> Result<Option<Mmap>, CorpusError> {
    let (found_bytes, expected_bytes) = (check_is_file(path)?, file.size_bytes);
    if found_bytes != expected_bytes {
        let file = path.display().to_string();
        return Err(CorpusError::SizeMismatch { file, found_bytes, expected_bytes });
    }
    // An empty file cannot be mapped.
    if found_bytes == 0 || name == PARQUET_FILE {
        return Ok(None);
    }
    let io = |error| CorpusError::io(path, error);
    if ahead.has(name) {
        let map = map::map(path).map_err(io)?;
        // Before the other files are open: this takes longest.
        map::will_need(&map, 0..map.len()).map_err(io)?;
        return Ok(Some(map));
    }
    let map = map::map_sparsely(path).map_err(io)?;
    // Reads the page with the header, and no page after it.
    black_box(map.first());
    if !SPARSE_FILES.contains(&name) {
        map::read_in_order(&map).map_err(io)?;
    }
    Ok(Some(map))
}

/// The values behind the header of a NumPy file. A map starts at a page, so they are aligned.
fn rows_of<T: map::Plain>(map: &Mmap) -> &[T] {
    map.get(HEADER_BYTES..).and_then(map::values).unwrap_or_default()
}

fn part<T>(values: &[T], row: usize, width: usize) -> &[T] {
    values.get(row * width..(row + 1) * width).unwrap_or_default()
}
