//! The manifests: that of a version of an index, and that of a segment. They are untrusted until they
//! are validated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codes::{BYTE_FACTORS, half_bytes, sign_words};
use super::columns::{COLUMNS_FILE, Column, file_bytes};
use super::error::CorpusError;
use super::ids::{ENTRY_BYTES, IDS_FILE};
use super::npy::HEADER_BYTES;
use super::texts::TEXTS_FILE;
use crate::bundle::{SHA256_RULE, is_sha256};

/// The schema this version reads and writes.
pub(crate) const SCHEMA_VERSION: u32 = 3;

/// Maximum number of dimensions: 31-bit sums of products of 12 bits with 8 bits.
const MAX_DIMENSIONS: usize = 8_192;

/// Maximum number of rows of a segment.
const MAX_SEGMENT_ROWS: usize = 1 << 31;

/// Number format of the vectors of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VectorPrecision {
    /// IEEE 754 binary32.
    #[default]
    F32,
    /// IEEE 754 binary16.
    F16,
}

impl VectorPrecision {
    /// Size of a value in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// The type in a NumPy header.
    pub(crate) fn numpy(self) -> &'static str {
        match self {
            Self::F32 => "<f4",
            Self::F16 => "<f2",
        }
    }
}

impl fmt::Display for VectorPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// What the vectors of an index are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorSource {
    /// Digest of the bundle that made them.
    pub bundle_digest: String,
    /// Name of its model.
    pub model_name: String,
    /// Number of dimensions.
    pub dimensions: usize,
    /// Name of the prompt that was put before each text, if any.
    pub prompt_name: Option<String>,
    /// Number format of the stored vectors.
    pub precision: VectorPrecision,
}

impl VectorSource {
    fn check(&self, path: &Path) -> Result<(), CorpusError> {
        let of = |field: &str| format!("vectors.{field}");
        if !is_sha256(&self.bundle_digest) {
            return Err(CorpusError::manifest(path, &of("bundle_digest"), SHA256_RULE));
        }
        if !(1..=MAX_DIMENSIONS).contains(&self.dimensions) {
            let rule = format!("must be from 1 to {MAX_DIMENSIONS}");
            return Err(CorpusError::manifest(path, &of("dimensions"), rule));
        }
        Ok(())
    }
}

/// The manifest of a version of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexManifest {
    /// Version of this schema: 3.
    pub schema_version: u32,
    /// What the vectors are.
    pub vectors: VectorSource,
    /// Number of live rows.
    pub rows: u64,
    /// The segments.
    pub segments: Vec<SegmentEntry>,
    /// Recall that was measured when this version was written.
    pub recall: Option<Recall>,
    /// Digest of the version that this one replaced.
    pub parent: Option<String>,
}

/// A segment of a version of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// Digest of its manifest, which is its name.
    pub digest: String,
    /// Number of rows, deleted ones included.
    pub rows: u64,
    /// Number of deleted rows.
    pub deleted: u64,
    /// Digest of the set of deleted rows, if any.
    pub tombstones: Option<String>,
}

/// Recall of the approximate search, measured on rows of the index.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// Number of rows that were searched for.
    pub queries: u64,
    /// Share of their 10 nearest other rows that the approximate search found.
    pub at_10: f64,
}

/// The manifest of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentManifest {
    pub(crate) schema_version: u32,
    pub(crate) vectors: VectorSource,
    pub(crate) rows: u64,
    pub(crate) columns: Vec<Column>,
    pub(crate) files: BTreeMap<String, FileEntry>,
}

/// A file of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
}

/// Name of the manifest of a segment.
pub(crate) const SEGMENT_FILE: &str = "segment.json";
/// Name of the file of vectors, `[rows, dim]`, of unit length.
pub(crate) const VECTORS_FILE: &str = "vectors.npy";
/// Name of the file of 1-bit codes, `[rows, words * 8]`, bytes.
pub(crate) const SIGNS_FILE: &str = "codes.1.npy";
/// Name of the file of the upper halves of the 8-bit codes, `[rows, half]`, bytes.
pub(crate) const UPPER_FILE: &str = "codes.8.upper.npy";
/// Name of the file of their lower halves, `[rows, half]`, bytes.
pub(crate) const LOWER_FILE: &str = "codes.8.lower.npy";
/// Name of the file of the factors of the 1-bit codes, `[rows, 1]`, f32.
pub(crate) const SIGN_FACTORS_FILE: &str = "factors.1.npy";
/// Name of the file of the factors of the 8-bit codes, `[rows, 4]`, f32.
pub(crate) const BYTE_FACTORS_FILE: &str = "factors.8.npy";
/// Name of the file with the mean of the vectors, `[1, dim]`, f32.
pub(crate) const CENTER_FILE: &str = "center.npy";
/// Name of the file for other programs. The engine does not read it.
pub(crate) const PARQUET_FILE: &str = "rows.parquet";

/// The files of a segment that the engine reads.
pub(crate) const FILES: [&str; 10] = [
    LOWER_FILE,
    UPPER_FILE,
    CENTER_FILE,
    SIGNS_FILE,
    COLUMNS_FILE,
    SIGN_FACTORS_FILE,
    BYTE_FACTORS_FILE,
    IDS_FILE,
    TEXTS_FILE,
    VECTORS_FILE,
];

impl IndexManifest {
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CorpusError> {
        let manifest: Self = from_json(path, bytes)?;
        manifest.vectors.check(path)?;
        let (mut live, mut known) = (0u64, BTreeSet::new());
        for (index, segment) in manifest.segments.iter().enumerate() {
            let field = |name: &str| format!("segments[{index}].{name}");
            let check = |holds: bool, name: &str, rule: &str| match holds {
                true => Ok(()),
                false => Err(CorpusError::manifest(path, &field(name), rule)),
            };
            check(is_sha256(&segment.digest), "digest", SHA256_RULE)?;
            check(
                known.insert(&segment.digest),
                "digest",
                "must not repeat that of another segment",
            )?;
            check(segment.deleted <= segment.rows, "deleted", "must not exceed rows")?;
            let has_set = segment.tombstones.is_some();
            check(has_set == (segment.deleted > 0), "tombstones", "present if rows are deleted")?;
            let digest = segment.tombstones.as_deref().is_none_or(is_sha256);
            check(digest, "tombstones", SHA256_RULE)?;
            live = live.saturating_add(segment.rows - segment.deleted);
        }
        if live != manifest.rows {
            let reason = format!("must be {live}, the sum of the live rows of the segments");
            return Err(CorpusError::manifest(path, "rows", reason));
        }
        if !manifest.parent.as_deref().is_none_or(is_sha256) {
            return Err(CorpusError::manifest(path, "parent", SHA256_RULE));
        }
        Ok(manifest)
    }
}

impl SegmentManifest {
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CorpusError> {
        let manifest: Self = from_json(path, bytes)?;
        manifest.vectors.check(path)?;
        let rows = usize::try_from(manifest.rows).unwrap_or(usize::MAX);
        if !(1..=MAX_SEGMENT_ROWS).contains(&rows) {
            let rule = format!("must be from 1 to {MAX_SEGMENT_ROWS}");
            return Err(CorpusError::manifest(path, "rows", rule));
        }
        for (index, column) in manifest.columns.iter().enumerate() {
            if index > 0 && manifest.columns[index - 1].name >= column.name {
                let field = format!("columns[{index}].name");
                return Err(CorpusError::manifest(path, &field, "must be in order and distinct"));
            }
            if u64::from(column.distinct) > manifest.rows {
                let field = format!("columns[{index}].distinct");
                return Err(CorpusError::manifest(path, &field, "must not exceed rows"));
            }
        }
        for (name, file) in &manifest.files {
            let field = |part: &str| format!("files.{name}.{part}");
            if !FILES.contains(&name.as_str()) && name != PARQUET_FILE {
                return Err(CorpusError::manifest(path, "files", format!("unknown file {name:?}")));
            }
            if !is_sha256(&file.sha256) {
                return Err(CorpusError::manifest(path, &field("sha256"), SHA256_RULE));
            }
        }
        for name in FILES {
            let Some(file) = manifest.files.get(name) else {
                return Err(CorpusError::manifest(path, "files", format!("{name} is missing")));
            };
            let expected = manifest.expected_bytes(name, rows);
            if expected.is_some_and(|expected| expected != Some(file.size_bytes)) {
                let field = format!("files.{name}.size_bytes");
                return Err(CorpusError::manifest(path, &field, "must be the size of its rows"));
            }
        }
        Ok(manifest)
    }

    /// Returns the size that a file must have: none if its content decides, none inside if the size is
    /// too large to be real.
    fn expected_bytes(&self, name: &str, rows: usize) -> Option<Option<u64>> {
        let dim = self.vectors.dimensions;
        let npy = |rows: usize, row_bytes: usize| {
            rows.checked_mul(row_bytes)?.checked_add(HEADER_BYTES).map(|bytes| bytes as u64)
        };
        match name {
            VECTORS_FILE => Some(npy(rows, dim * self.vectors.precision.bytes())),
            SIGNS_FILE => Some(npy(rows, sign_words(dim) * 8)),
            UPPER_FILE | LOWER_FILE => Some(npy(rows, half_bytes(dim))),
            SIGN_FACTORS_FILE => Some(npy(rows, 4)),
            BYTE_FACTORS_FILE => Some(npy(rows, BYTE_FACTORS * 4)),
            CENTER_FILE => Some(npy(1, dim * 4)),
            IDS_FILE => Some(rows.checked_mul(ENTRY_BYTES).map(|bytes| bytes as u64)),
            COLUMNS_FILE => Some(file_bytes(&self.columns, rows).map(|bytes| bytes as u64)),
            _ => None,
        }
    }
}

/// The version of the schema. It is read before the other fields.
#[derive(Deserialize)]
struct Schema {
    schema_version: u64,
}

fn from_json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, CorpusError> {
    fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, CorpusError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            CorpusError::manifest(path, &field, error.into_inner().to_string())
        })
    }
    let schema: Schema = parse(path, bytes)?;
    if schema.schema_version != u64::from(SCHEMA_VERSION) {
        let reason = format!(
            "{} is not supported; this version reads {SCHEMA_VERSION}: build the index again",
            schema.schema_version
        );
        return Err(CorpusError::manifest(path, "schema_version", reason));
    }
    parse(path, bytes)
}
