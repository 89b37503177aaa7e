//! Errors of an index, with stable codes. Messages never contain an id, a text or a metadata value.

use std::io;
use std::path::Path;

use crate::code::{Code, Fault};
use crate::kernels::LengthError;

/// Why an index cannot be read, written or searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// There is no index in the folder.
    #[error("there is no index in {folder}")]
    NotFound {
        /// The folder.
        folder: String,
    },
    /// The name is not a valid name of an index.
    #[error("the name of an index must be {}, found {bytes} bytes", crate::bundle::NAME_RULE)]
    InvalidName {
        /// Size of the name.
        bytes: usize,
    },
    /// There is an index already.
    #[error("there is an index in {folder} already; append to it, or remove the folder")]
    Exists {
        /// The folder.
        folder: String,
    },
    /// The vectors of the index are those of another model.
    #[error("the index has vectors of the bundle {index}; the loaded bundle is {bundle}")]
    OtherBundle {
        /// Digest of the bundle that made the vectors.
        index: String,
        /// Digest of the loaded bundle.
        bundle: String,
    },
    /// A manifest is invalid, or this version does not support it.
    #[error("{file}: field {field}: {reason}")]
    InvalidManifest {
        /// The file.
        file: String,
        /// Path of the field.
        field: String,
        /// The rule.
        reason: String,
    },
    /// A file has another size than its manifest declares.
    #[error("{file} has {found_bytes} bytes; its manifest declares {expected_bytes}")]
    SizeMismatch {
        /// The file.
        file: String,
        /// Its size.
        found_bytes: u64,
        /// The declared size.
        expected_bytes: u64,
    },
    /// The content of a file is wrong.
    #[error("{file} is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Another writer published a version since this one started.
    #[error("the index is at version {found}, but this change is based on {expected}")]
    Conflict {
        /// Digest of the published version.
        found: String,
        /// Digest of the version that the change is based on.
        expected: String,
    },
    /// There is no such version of the index.
    #[error("there is no version {version} of the index in {folder}")]
    UnknownVersion {
        /// The version, shortened.
        version: String,
        /// The folder of the index.
        folder: String,
    },
    /// Another process writes the index.
    #[error("another process writes the index in {folder}")]
    Locked {
        /// The folder of the index.
        folder: String,
    },
    /// The approximate search finds too few of the nearest rows.
    #[error(
        "the approximate search finds {found:.3} of the 10 nearest rows; the minimum is {minimum}"
    )]
    LowRecall {
        /// The share found.
        found: f64,
        /// The minimum.
        minimum: f64,
    },
    /// A vector has another number of dimensions than the index.
    #[error("a vector has {found} dimensions; the index has {expected}")]
    WrongDimensions {
        /// Dimensions of the vector.
        found: usize,
        /// Dimensions of the index.
        expected: usize,
    },
    /// A vector cannot be normalized.
    #[error("vector {index} has a norm that is zero or not finite")]
    DegenerateVector {
        /// Index of the vector.
        index: usize,
    },
    /// A filter names a column that the index does not have.
    #[error("the filter names an unknown column; the columns are {known}")]
    UnknownColumn {
        /// The columns of the index.
        known: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file or folder.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Arrays of wrong lengths, which is a bug.
    #[error(transparent)]
    Length(#[from] LengthError),
}

crate::codes!(CorpusError {
    Self::NotFound { .. } => Code::INDEX_NOT_FOUND,
    Self::InvalidName { .. } => Code::new(
        "index.invalid_name",
        Fault::Field,
        "The name of an index violates the rule for names. The message has the rule.",
    ),
    Self::Exists { .. } => Code::new(
        "index.exists",
        Fault::Command,
        "There is an index in the folder already. Append to it, or remove the folder.",
    ),
    Self::OtherBundle { .. } => Code::new(
        "index.other_bundle",
        Fault::Internal,
        "The vectors of the index were made by another model bundle. Build the index again, or load \
         that bundle.",
    ),
    Self::InvalidManifest { .. } => Code::new(
        "index.invalid_manifest",
        Fault::Internal,
        "A manifest of the index is invalid, or this version does not support it. The message names \
         the field.",
    ),
    Self::SizeMismatch { .. } => Code::new(
        "index.size_mismatch",
        Fault::Internal,
        "The size of a file of the index differs from its manifest. Copy or build the index again.",
    ),
    Self::Damaged { .. } => Code::new(
        "index.damaged",
        Fault::Internal,
        "The content of a file of the index is wrong. Copy or build the index again.",
    ),
    Self::Conflict { .. } => Code::new(
        "index.conflict",
        Fault::Command,
        "Another writer published a version of the index since the change started. Repeat the change.",
    ),
    Self::UnknownVersion { .. } => Code::new(
        "index.unknown_version",
        Fault::Command,
        "There is no such version of the index, or it was removed after its grace period.",
    ),
    Self::Locked { .. } => Code::new(
        "index.locked",
        Fault::Command,
        "Another process writes the index. Wait until it has ended.",
    ),
    Self::LowRecall { .. } => Code::new(
        "index.low_recall",
        Fault::Command,
        "The approximate search of the index would miss too many of the nearest rows. The model's \
         vectors do not suit 1-bit codes; raise the number of rows that are searched exactly.",
    ),
    Self::WrongDimensions { .. } => Code::new(
        "request.wrong_dimensions",
        Fault::Field,
        "A vector does not have the number of dimensions of the index.",
    ),
    Self::DegenerateVector { .. } => Code::new(
        "request.degenerate_vector",
        Fault::Field,
        "A vector cannot be normalized: its norm is zero or not finite.",
    ),
    Self::UnknownColumn { .. } => Code::new(
        "request.unknown_column",
        Fault::Field,
        "A filter names a column that the index does not have. The message lists the columns.",
    ),
    Self::Io { .. } => Code::new(
        "index.io",
        Fault::Internal,
        "A file or folder of the index cannot be read or written.",
    ),
    Self::Length(_) => Code::PANIC,
});

impl CorpusError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { file: path.display().to_string(), reason: reason.into() }
    }

    pub(crate) fn manifest(path: &Path, field: &str, reason: impl Into<String>) -> Self {
        let (file, reason) = (path.display().to_string(), reason.into());
        Self::InvalidManifest { file, field: field.to_owned(), reason }
    }
}

/// Why a row is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The id is empty, too long or contains a control character.
    #[error(
        "the id must have 1 to {} bytes and no control characters, found {bytes} bytes",
        super::MAX_ID_BYTES
    )]
    BadId {
        /// Its size.
        bytes: usize,
    },
    /// The id is that of another row of the input.
    #[error("the id is already used in line {first_line}")]
    RepeatedId {
        /// Line of the other row.
        first_line: u64,
    },
    /// The id is that of a row of the index.
    #[error("the id is already used in the index; --replace replaces the row")]
    KnownId,
    /// The name of a column is empty, too long or reserved.
    #[error(
        "the name of a column must have 1 to {} bytes and not start with $, found {bytes} bytes",
        super::MAX_COLUMN_BYTES
    )]
    BadColumn {
        /// Its size.
        bytes: usize,
    },
    /// A column of metadata occurs twice.
    #[error("a column of the metadata occurs twice")]
    RepeatedColumn,
    /// There are too many columns.
    #[error("a segment has more than {limit} columns of metadata")]
    TooManyColumns {
        /// The limit.
        limit: usize,
    },
    /// A number is not finite.
    #[error("a number of the metadata is not finite")]
    NotFinite,
}

crate::codes!(RowFault {
    Self::BadId { .. } => Code::new(
        "index.bad_id",
        Fault::Command,
        "The id of a row is empty, too long or contains a control character.",
    ),
    Self::RepeatedId { .. } | Self::KnownId => Code::new(
        "index.duplicate_id",
        Fault::Command,
        "Two rows have the same id. The option --replace keeps the last one.",
    ),
    Self::BadColumn { .. }
    | Self::RepeatedColumn
    | Self::TooManyColumns { .. }
    | Self::NotFinite => Code::new(
        "index.bad_metadata",
        Fault::Command,
        "The metadata of a row has an invalid column or value. The message has the rule.",
    ),
});
