//! Writes a segment: rows as they come, then the codes in a second pass over the vectors.

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::columns::{COLUMNS_FILE, Column, Columns, ColumnsWriter};
use super::error::CorpusError;
use super::files::{create_folder, digest, remove, sync_folder};
use super::half::to_half;
use super::ids::{IDS_FILE, encode};
use super::manifest::{
    FILES, FileEntry, PARQUET_FILE, SCHEMA_VERSION, SEGMENT_FILE, SegmentManifest, VECTORS_FILE,
    VectorPrecision, VectorSource,
};
use super::npy::{HEADER_BYTES, header};
use super::point::Points;
use super::rows_file::{RowsFile, SegmentRows};
use super::segment::{ReadAhead, Segment};
use super::segment_codes::write_codes;
use super::texts::{TEXTS_FILE, Texts, TextsWriter};
use super::value::Value;
use crate::bundle::map;
use crate::bundle::sha256_hex;

/// A segment that is being written, in a staging folder.
pub(crate) struct SegmentWriter {
    folder: PathBuf,
    source: VectorSource,
    vectors: BufWriter<File>,
    texts: TextsWriter<BufWriter<File>>,
    columns: ColumnsWriter,
    ids: Vec<String>,
}

impl SegmentWriter {
    /// Starts a segment in an empty folder.
    pub(crate) fn new(folder: PathBuf, source: VectorSource) -> Result<Self, CorpusError> {
        remove(&folder)?;
        create_folder(&folder)?;
        let create = |name: &str| {
            let path = folder.join(name);
            File::create(&path).map(BufWriter::new).map_err(|error| CorpusError::io(&path, error))
        };
        let mut vectors = create(VECTORS_FILE)?;
        vectors.write_all(&[0; HEADER_BYTES]).map_err(|error| CorpusError::io(&folder, error))?;
        let texts = TextsWriter::new(create(TEXTS_FILE)?);
        let columns = ColumnsWriter::default();
        Ok(Self { folder, source, vectors, texts, columns, ids: Vec::new() })
    }

    pub(crate) fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Number of columns with those of this metadata.
    pub(crate) fn columns_with(&self, metadata: &[(String, Value)]) -> usize {
        self.columns.count_with(metadata)
    }

    /// Adds a row. The vector has unit length.
    pub(crate) fn push(
        &mut self,
        id: &str,
        text: &str,
        metadata: &[(String, Value)],
        vector: &[f32],
    ) -> Result<(), CorpusError> {
        let written = match self.source.precision {
            VectorPrecision::F32 => self.vectors.write_all(map::bytes(vector)),
            VectorPrecision::F16 => {
                let halves: Vec<u16> = vector.iter().map(|&x| to_half(x)).collect();
                self.vectors.write_all(map::bytes(&halves))
            }
        };
        written
            .and_then(|()| self.texts.push(id, text))
            .map_err(|error| CorpusError::io(&self.folder, error))?;
        self.columns.push(metadata);
        self.ids.push(id.to_owned());
        Ok(())
    }

    /// Completes the segment and moves it to `segments/<digest>`. Returns the digest. Equal rows give an
    /// equal segment; if it exists already, it is kept.
    pub(crate) fn finish(
        self,
        segments: &Path,
        rows_file: Option<&RowsFile>,
        points: &Points,
    ) -> Result<String, CorpusError> {
        let folder = self.folder.clone();
        let bytes = self.write_files(rows_file).map_err(|error| match error {
            Failure::Io(error) => CorpusError::io(&folder, error),
            Failure::Corpus(error) => error,
        })?;
        points.reach("segment_files");
        sync_folder(&folder)?;
        let name = sha256_hex(&bytes);
        let target = segments.join(&name);
        create_folder(segments)?;
        if Segment::open(&target, &name, ReadAhead::Nothing).is_ok() {
            remove(&folder)?;
        } else {
            remove(&target)?;
            fs::rename(&folder, &target).map_err(|error| CorpusError::io(&target, error))?;
        }
        points.reach("segment_renamed");
        sync_folder(segments)?;
        Ok(name)
    }

    fn write_files(self, rows_file: Option<&RowsFile>) -> Result<Vec<u8>, Failure> {
        let (rows, dim) = (self.ids.len(), self.source.dimensions);
        let mut vectors = self.vectors.into_inner().map_err(|error| error.into_error())?;
        vectors.seek(SeekFrom::Start(0))?;
        vectors.write_all(&header(self.source.precision.numpy(), rows, dim))?;
        vectors.sync_all()?;
        drop(vectors);
        sync(self.texts.finish()?)?;
        let whole = |name: &str, bytes: &[u8]| {
            let mut file = BufWriter::new(File::create(self.folder.join(name))?);
            file.write_all(bytes)?;
            sync(file)
        };
        let (columns_bytes, columns) = self.columns.finish();
        whole(COLUMNS_FILE, &columns_bytes)?;
        whole(IDS_FILE, &encode(self.ids.iter().map(String::as_str)))?;
        write_codes(&self.folder, rows, &self.source)?;
        if let Some(rows_file) = rows_file {
            write_rows(&self.folder, rows, &columns, rows_file)?;
        }
        let mut files = std::collections::BTreeMap::new();
        for name in FILES.into_iter().chain(rows_file.map(|_| PARQUET_FILE)) {
            let (size_bytes, sha256) = digest(&self.folder.join(name))?;
            files.insert(name.to_owned(), FileEntry { size_bytes, sha256 });
        }
        let vectors = self.source;
        let manifest = SegmentManifest {
            schema_version: SCHEMA_VERSION,
            vectors,
            rows: rows as u64,
            columns,
            files,
        };
        let bytes = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from)?;
        whole(SEGMENT_FILE, &bytes)?;
        Ok(bytes)
    }
}

/// Writes the rows of complete files for other programs.
fn write_rows(
    folder: &Path,
    rows: usize,
    columns: &[Column],
    rows_file: &RowsFile,
) -> Result<(), Failure> {
    let map = |name: &str| map::map(&folder.join(name));
    let texts = Texts::new(folder.join(TEXTS_FILE), map(TEXTS_FILE)?, rows)?;
    // An empty file cannot be mapped.
    let values = if columns.is_empty() { None } else { Some(map(COLUMNS_FILE)?) };
    let columns = Columns::new(folder.join(COLUMNS_FILE), values, columns.to_vec(), rows);
    let rows = SegmentRows { texts: &texts, columns: &columns, rows };
    Ok(rows_file.write(&folder.join(PARQUET_FILE), &rows)?)
}

/// Writes what is left of a file to the disk.
pub(super) fn sync(file: BufWriter<File>) -> std::io::Result<()> {
    file.into_inner().map_err(|error| error.into_error())?.sync_all()
}

enum Failure {
    Io(std::io::Error),
    Corpus(CorpusError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CorpusError> for Failure {
    fn from(error: CorpusError) -> Self {
        Self::Corpus(error)
    }
}
