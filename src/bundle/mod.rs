//! A model folder: what its manifest says, checked against what lies there.
//!
//! A bundle is immutable and named by its digest, the sha256 of `bundle.json`, which in turn holds
//! the size and sha256 of every other file. So one name pins every byte, on a laptop, in S3, on EFS.

mod digest;
mod manifest;
pub(crate) mod map;
mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::code::{Code, Fault};

pub use manifest::{
    BundleFile, Files, Manifest, ManifestError, NAME_RULE, Precision, SHA256_RULE, Task, is_name,
    is_sha256,
};
pub use verify::{Verified, VerifyError};

pub use digest::{hex, sha256_hex};

/// Name of the manifest in a bundle's folder.
pub const MANIFEST_FILE: &str = "bundle.json";

/// An opened bundle: the manifest is understood, and every file is there with the right size.
///
/// Contents are not hashed here (that is [`Bundle::verify`]): a cold start cannot afford to read
/// every byte, and the copy that published the folder has.
#[derive(Clone, Debug)]
pub struct Bundle {
    folder: PathBuf,
    manifest: Manifest,
    digest: String,
}

/// Why a folder is not a usable bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// There is no such folder.
    #[error("the bundle folder {folder} does not exist")]
    FolderMissing {
        /// The folder asked for.
        folder: String,
    },
    /// A file that a bundle must have is not there.
    #[error("the bundle {folder} has no {file}")]
    FileMissing {
        /// The bundle's folder.
        folder: String,
        /// The file, relative to it.
        file: String,
    },
    /// A file has another size than the manifest says.
    #[error(
        "{file} of the bundle {folder} has {found_bytes} bytes, its manifest says {expected_bytes}"
    )]
    SizeMismatch {
        /// The bundle's folder.
        folder: String,
        /// The file, relative to it.
        file: String,
        /// Size on disk.
        found_bytes: u64,
        /// Size by the manifest.
        expected_bytes: u64,
    },
    /// The manifest is not one that this version understands.
    #[error("the manifest of the bundle {folder} is not understood")]
    Manifest {
        /// The bundle's folder.
        folder: String,
        /// Which field, and why.
        source: ManifestError,
    },
    /// The bundle is for another task.
    #[error("the bundle {folder} is for the task {found}, but {expected} is needed")]
    WrongTask {
        /// The bundle's folder.
        folder: String,
        /// The bundle's task.
        found: Task,
        /// The task needed.
        expected: Task,
    },
    /// The file system failed.
    #[error("{file} of the bundle {folder} cannot be read")]
    Io {
        /// The bundle's folder.
        folder: String,
        /// The file, relative to it.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

crate::codes!(BundleError {
    Self::FolderMissing { .. } => Code::new(
        "bundle.folder_missing",
        Fault::Start,
        "The bundle folder does not exist.",
    ),
    Self::FileMissing { .. } => Code::new(
        "bundle.file_missing",
        Fault::Start,
        "A file of the bundle is missing. Copy the bundle again.",
    ),
    Self::SizeMismatch { .. } => Code::new(
        "bundle.size_mismatch",
        Fault::Start,
        "A file of the bundle has another size than the manifest declares. Copy the bundle again.",
    ),
    Self::Manifest { .. } => Code::new(
        "bundle.invalid_manifest",
        Fault::Start,
        "The manifest is not understood. The message names the field. Rebuild the bundle with a \
         builder of this version.",
    ),
    Self::WrongTask { .. } => Code::new(
        "bundle.wrong_task",
        Fault::Start,
        "An embedding bundle is configured as the cross-encoder, or the other way around.",
    ),
    Self::Io { .. } => Code::new(
        "bundle.unreadable",
        Fault::Start,
        "A file of the bundle cannot be read or mapped.",
    ),
});

impl Bundle {
    /// Opens the bundle in `folder`; reads its manifest and the sizes of its files, nothing else.
    ///
    /// # Errors
    /// - [`BundleError::FolderMissing`] if there is no such folder.
    /// - [`BundleError::FileMissing`] if `bundle.json` or a file that it names is missing.
    /// - [`BundleError::SizeMismatch`] if a file has another size than the manifest says.
    /// - [`BundleError::Manifest`] if the manifest is not understood; names the field.
    /// - [`BundleError::Io`] if the file system fails otherwise.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let name = || folder.display().to_string();
        if !folder.is_dir() {
            return Err(BundleError::FolderMissing { folder: name() });
        }
        let bytes = fs::read(folder.join(MANIFEST_FILE))
            .map_err(|error| missing_or_io(folder, MANIFEST_FILE, error))?;
        let manifest = Manifest::parse(&bytes)
            .map_err(|source| BundleError::Manifest { folder: name(), source })?;
        for file in manifest.files.iter() {
            let found_bytes = fs::metadata(folder.join(&file.path))
                .map_err(|error| missing_or_io(folder, &file.path, error))?
                .len();
            if found_bytes != file.size_bytes {
                return Err(BundleError::SizeMismatch {
                    folder: name(),
                    file: file.path.clone(),
                    found_bytes,
                    expected_bytes: file.size_bytes,
                });
            }
        }
        let digest = sha256_hex(&bytes);
        Ok(Self { folder: folder.to_path_buf(), manifest, digest })
    }

    /// Returns the bundle if it is for `task`.
    ///
    /// # Errors
    /// - [`BundleError::WrongTask`] if it is for another.
    pub fn for_task(self, task: Task) -> Result<Self, BundleError> {
        if self.manifest.task == task {
            return Ok(self);
        }
        Err(BundleError::WrongTask {
            folder: self.folder.display().to_string(),
            found: self.manifest.task,
            expected: task,
        })
    }

    /// Asks the system to read ahead the weights, all of which every inference reads, while
    /// something else still loads; returns without waiting for them.
    ///
    /// # Errors
    /// - [`BundleError::Io`] if the weights cannot be mapped.
    pub fn page_in(&self) -> Result<(), BundleError> {
        let file = &self.manifest.files.weights;
        map::map(&self.path_of(file))
            .and_then(|map| map::will_need(&map, 0..map.len()))
            .map_err(|error| missing_or_io(&self.folder, &file.path, error))
    }

    /// What the manifest says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bundle's name everywhere: sha256 of its manifest, 64 lowercase hex digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The folder it was opened from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a file of the manifest lies.
    #[must_use]
    pub fn path_of(&self, file: &BundleFile) -> PathBuf {
        self.folder.join(&file.path)
    }
}

/// Returns the error of a file that could not be read.
pub(crate) fn missing_or_io(folder: &Path, file: &str, source: io::Error) -> BundleError {
    let (folder, file) = (folder.display().to_string(), file.to_owned());
    match source.kind() {
        io::ErrorKind::NotFound => BundleError::FileMissing { folder, file },
        _ => BundleError::Io { folder, file, source },
    }
}
