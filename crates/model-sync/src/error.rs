//! Errors of copying a bundle or an index, with stable codes. A message has the key or the file, and the expected
//! and found values.

use std::error::Error;
use std::io;
use std::path::Path;

use semblance::corpus::CorpusError;
use semblance::{Code, Fault};

use super::version::EventError;
use semblance::internals::bundle::ManifestError;

/// An error of the AWS SDK.
pub type StorageError = Box<dyn Error + Send + Sync>;

/// Why a bundle or an index was not copied. Published bundles and the current version are unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The event does not name a version of a model or of an index.
    #[error("the event is invalid")]
    InvalidEvent(#[from] EventError),
    /// The bundle, or a file of it, is not in the bucket.
    #[error("the object {key} is not in the bucket {bucket}")]
    ObjectMissing {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// S3 denies access to the object.
    #[error("access to the object {key} is denied")]
    AccessDenied {
        /// The object's key.
        key: String,
        /// The error of the AWS SDK.
        source: StorageError,
    },
    /// S3 failed or cannot be reached.
    #[error("the object {key} cannot be read")]
    Storage {
        /// The object's key.
        key: String,
        /// The error of the AWS SDK.
        source: StorageError,
    },
    /// The sha256 of an object is wrong.
    #[error("the object {key} has the sha256 {found}; expected {expected}")]
    DigestMismatch {
        /// The object's key.
        key: String,
        /// The sha256 of the object.
        found: String,
        /// The sha256 in the event or in the manifest.
        expected: String,
    },
    /// The size of an object differs from the manifest.
    #[error("the object {key} has {found_bytes} bytes; the manifest declares {expected_bytes}")]
    SizeMismatch {
        /// The object's key.
        key: String,
        /// Size in S3.
        found_bytes: u64,
        /// Size in the manifest.
        expected_bytes: u64,
    },
    /// The manifest is invalid, or this version does not support it.
    #[error("the manifest {key} is invalid")]
    InvalidManifest {
        /// The object's key.
        key: String,
        /// The field and the reason.
        source: ManifestError,
    },
    /// The manifest is for another model.
    #[error("the manifest {key} is for the model {found}; the event names {expected}")]
    WrongModel {
        /// The object's key.
        key: String,
        /// The model in the manifest.
        found: String,
        /// The model in the event.
        expected: String,
    },
    /// A manifest, or another object that is read as a whole, is too large.
    #[error("the object {key} has {found_bytes} bytes; the limit is {limit_bytes}")]
    ObjectTooLarge {
        /// The object's key.
        key: String,
        /// Size in S3.
        found_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A manifest of an index is invalid, or the copy on the file system is damaged.
    #[error("the index is invalid")]
    InvalidIndex(#[source] CorpusError),
    /// Another process writes the copy of the index.
    #[error("another process writes the index {index}; run again when it has ended")]
    Busy {
        /// Name of the index.
        index: String,
    },
    /// The file system has no space for the rest of a file.
    #[error("no space for {path}: {written_bytes} of its {size_bytes} bytes were written")]
    DiskFull {
        /// The file.
        path: String,
        /// Number of bytes that were written.
        written_bytes: u64,
        /// Size of the file.
        size_bytes: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file system has no space for a file or folder.
    #[error("no space for {path}")]
    NoSpace {
        /// The file or folder.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file system denies access.
    #[error("permission to write {path} is denied")]
    PermissionDenied {
        /// The file or folder.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file system failed otherwise.
    #[error("{path} cannot be written")]
    Io {
        /// The file or folder.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The deadline passed. The next run resumes the copy.
    #[error("the time limit was reached before {key} was copied; run again to resume the copy")]
    TimeUp {
        /// The object that was being read.
        key: String,
    },
}

semblance::codes!(SyncError {
    Self::InvalidEvent(_) => Code::new(
        "sync.invalid_event",
        Fault::Field,
        "The event does not name a model and the digest of its bundle, or an index and the digest of its \
         manifest.",
    ),
    Self::ObjectMissing { .. } => Code::new(
        "sync.object_missing",
        Fault::NotFound,
        "A file of the bundle or index is not in the bucket. Upload it again.",
    ),
    Self::AccessDenied { .. } | Self::PermissionDenied { .. } => Code::new(
        "sync.permission_denied",
        Fault::Internal,
        "The role of the function has no permission to read the bucket or to write to the file \
         system.",
    ),
    Self::Storage { .. } => Code::new(
        "sync.storage",
        Fault::Internal,
        "S3 failed. Invoke the function again; it resumes the copy.",
    ),
    Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => Code::new(
        "sync.digest_mismatch",
        Fault::Internal,
        "An object differs from the manifest or from the digest in the event. Upload the bundle or \
         index again.",
    ),
    Self::InvalidManifest { .. }
    | Self::WrongModel { .. }
    | Self::ObjectTooLarge { .. }
    | Self::InvalidIndex(_) => Code::new(
        "sync.invalid_manifest",
        Fault::Internal,
        "A manifest is invalid, or is for another model.",
    ),
    Self::Busy { .. } => Code::new(
        "sync.busy",
        Fault::Timeout,
        "Another process writes the index. Invoke the function again.",
    ),
    Self::DiskFull { .. } | Self::NoSpace { .. } => Code::new(
        "sync.disk_full",
        Fault::Internal,
        "The file system has no space for the bundle or index.",
    ),
    Self::Io { .. } => Code::new(
        "sync.io",
        Fault::Internal,
        "The file system failed.",
    ),
    Self::TimeUp { .. } => Code::new(
        "sync.time_up",
        Fault::Timeout,
        "The function reached its timeout. Invoke the function again; it resumes the copy.",
    ),
});

impl SyncError {
    /// Whether the next run can resume the copy. Otherwise the copied files are removed, because they
    /// are wrong or occupy space that the next run needs.
    pub(crate) fn is_resumable(&self) -> bool {
        matches!(self, Self::Storage { .. } | Self::TimeUp { .. } | Self::Busy { .. })
    }

    /// Converts an error of the copy of an index.
    pub(crate) fn from_index(error: CorpusError) -> Self {
        match error {
            CorpusError::Io { path, source } => Self::from_io(Path::new(&path), source),
            other => Self::InvalidIndex(other),
        }
    }

    /// Converts an error of the file system at `path`.
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, source }
            }
            // EACCES and EPERM; EROFS.
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::PermissionDenied { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_operating_system_have_codes() {
        // Linux: ENOSPC, EDQUOT, EACCES, EPERM, EROFS, EIO, ENOENT.
        let cases = [
            (28, "sync.disk_full"),
            (122, "sync.disk_full"),
            (13, "sync.permission_denied"),
            (1, "sync.permission_denied"),
            (30, "sync.permission_denied"),
            (5, "sync.io"),
            (2, "sync.io"),
        ];
        for (number, code) in cases {
            let source = io::Error::from_raw_os_error(number);
            let error = SyncError::from_io(Path::new("/mnt/models/m"), source);
            assert_eq!(error.code().name, code, "{number}");
            assert!(error.to_string().contains("/mnt/models/m"));
        }
    }

    #[test]
    fn only_transport_errors_and_timeouts_are_resumable() {
        let key = || "models/m/d/model.weights".to_owned();
        assert!(SyncError::TimeUp { key: key() }.is_resumable());
        assert!(SyncError::Storage { key: key(), source: "reset".into() }.is_resumable());
        let (found, expected) = ("0".repeat(64), "1".repeat(64));
        assert!(!SyncError::DigestMismatch { key: key(), found, expected }.is_resumable());
        let full = SyncError::from_io(Path::new("/"), io::Error::from_raw_os_error(28));
        assert!(!full.is_resumable());
    }
}
