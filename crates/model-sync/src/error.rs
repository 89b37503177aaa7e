//! Why a bundle was not copied: stable codes, and messages with key or file, expected and found.

use semblance::{Code, Fault};
use std::error::Error;
use std::io;
use std::path::Path;

use super::version::EventError;
use semblance::internals::bundle::ManifestError;

/// What the AWS SDK says.
pub type StorageError = Box<dyn Error + Send + Sync>;

/// Why a bundle was not copied. What was on the file system before is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The event does not name a version of a model.
    #[error("the event is refused")]
    InvalidEvent(#[from] EventError),
    /// The bundle is not in the bucket, or not whole.
    #[error("the object {key} is not in the bucket {bucket}")]
    ObjectMissing {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// S3 does not let this function read the object.
    #[error("the object {key} may not be read")]
    AccessDenied {
        /// The object's key.
        key: String,
        /// What the AWS SDK says.
        source: StorageError,
    },
    /// S3 failed, or cannot be reached.
    #[error("the object {key} cannot be read")]
    Storage {
        /// The object's key.
        key: String,
        /// What the AWS SDK says.
        source: StorageError,
    },
    /// The content of an object is another.
    #[error("the object {key} has the sha256 {found}, expected {expected}")]
    DigestMismatch {
        /// The object's key.
        key: String,
        /// The hash of what came.
        found: String,
        /// The hash by the event or by the manifest.
        expected: String,
    },
    /// An object has another size than the manifest says.
    #[error("the object {key} has {found_bytes} bytes, its manifest says {expected_bytes}")]
    SizeMismatch {
        /// The object's key.
        key: String,
        /// Size in S3.
        found_bytes: u64,
        /// Size by the manifest.
        expected_bytes: u64,
    },
    /// The manifest is not one that this version understands.
    #[error("the manifest {key} is not understood")]
    InvalidManifest {
        /// The object's key.
        key: String,
        /// Which field, and why.
        source: ManifestError,
    },
    /// The manifest is of another model.
    #[error("the manifest {key} is of the model {found}, the event says {expected}")]
    WrongModel {
        /// The object's key.
        key: String,
        /// The model by the manifest.
        found: String,
        /// The model by the event.
        expected: String,
    },
    /// The manifest is far larger than any.
    #[error("the manifest {key} has {found_bytes} bytes, the limit is {limit_bytes}")]
    ManifestTooLarge {
        /// The object's key.
        key: String,
        /// Size in S3.
        found_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A file does not fit.
    #[error("no space for {path}: {written_bytes} of its {size_bytes} bytes were written")]
    DiskFull {
        /// The file.
        path: String,
        /// Bytes that found room.
        written_bytes: u64,
        /// Bytes that it has.
        size_bytes: u64,
        /// What the system says.
        source: io::Error,
    },
    /// There is no room for a name.
    #[error("no space for {path}")]
    NoSpace {
        /// The file or folder.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file system does not let this function write.
    #[error("{path} may not be written")]
    PermissionDenied {
        /// The file or folder.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file system failed otherwise.
    #[error("{path} cannot be written")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The function's time is up. The next run goes on where this one stopped.
    #[error("the time is up before {key} is copied; run again to go on from there")]
    TimeUp {
        /// The object that was being read.
        key: String,
    },
}

semblance::codes!(SyncError {
    Self::InvalidEvent(_) => Code::new(
        "sync.invalid_event",
        Fault::Field,
        "The event does not name a model and the digest of its bundle.",
    ),
    Self::ObjectMissing { .. } => Code::new(
        "sync.object_missing",
        Fault::NotFound,
        "A file of the bundle is not in the bucket. Upload the bundle again.",
    ),
    Self::AccessDenied { .. } | Self::PermissionDenied { .. } => Code::new(
        "sync.permission_denied",
        Fault::Internal,
        "The role of the function may not read the bucket or write to the file system.",
    ),
    Self::Storage { .. } => Code::new(
        "sync.storage",
        Fault::Internal,
        "S3 failed. Invoke the function again; it resumes the copy.",
    ),
    Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => Code::new(
        "sync.digest_mismatch",
        Fault::Internal,
        "An object differs from the manifest or from the digest in the event. Upload the bundle \
         again.",
    ),
    Self::InvalidManifest { .. } | Self::WrongModel { .. } | Self::ManifestTooLarge { .. } => {
        Code::new(
            "sync.invalid_manifest",
            Fault::Internal,
            "The manifest is not understood, or is that of another model.",
        )
    },
    Self::DiskFull { .. } | Self::NoSpace { .. } => Code::new(
        "sync.disk_full",
        Fault::Internal,
        "The file system has no space for the bundle.",
    ),
    Self::Io { .. } => Code::new(
        "sync.io",
        Fault::Internal,
        "The file system failed.",
    ),
    Self::TimeUp { .. } => Code::new(
        "sync.time_up",
        Fault::Timeout,
        "The timeout of the function came first. Invoke the function again; it resumes the copy.",
    ),
});

impl SyncError {
    /// Whether what was copied so far serves the next run. Otherwise it is removed: it is wrong,
    /// or it takes the room that somebody has to make.
    pub(crate) fn is_resumable(&self) -> bool {
        matches!(self, Self::Storage { .. } | Self::TimeUp { .. })
    }

    /// Returns what the file system's `source` at `path` means.
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
    fn what_the_system_says_has_a_code() {
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
    fn only_a_failed_transport_and_a_lack_of_time_leave_something_to_go_on_from() {
        let key = || "models/m/d/model.weights".to_owned();
        assert!(SyncError::TimeUp { key: key() }.is_resumable());
        assert!(SyncError::Storage { key: key(), source: "reset".into() }.is_resumable());
        let (found, expected) = ("0".repeat(64), "1".repeat(64));
        assert!(!SyncError::DigestMismatch { key: key(), found, expected }.is_resumable());
        let full = SyncError::from_io(Path::new("/"), io::Error::from_raw_os_error(28));
        assert!(!full.is_resumable());
    }
}
