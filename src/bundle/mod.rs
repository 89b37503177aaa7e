//! Bundles: folders that contain a model and a manifest.
//!
//! A bundle is immutable. Its name is its digest, the sha256 of `bundle.json`. The manifest contains
//! the size and the sha256 of every other file, so the digest identifies every byte.

mod dense;
mod digest;
mod files;
mod graph;
mod graph_input;
mod manifest;
pub(crate) mod map;
mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::code::{Code, Fault};

pub use files::{BundleFile, Files};
pub use graph_input::GraphInput;
pub use manifest::{
    Manifest, ManifestError, NAME_RULE, Precision, SHA256_RULE, Task, is_name, is_sha256,
};
pub use verify::{Verification, VerifyError};

pub use digest::{hex, sha256_hex};

/// Name of the manifest in a bundle's folder.
pub const MANIFEST_FILE: &str = "bundle.json";

/// Maximum size of a manifest in bytes. Real ones have about 2 kB.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// An opened bundle: the manifest is valid, and every file exists and has the declared size.
///
/// [`Bundle::open`] does not hash the files, because that would read every byte on a cold start.
/// The program that copied the bundle hashed them. [`Bundle::verify`] hashes them again.
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
    /// The folder does not exist.
    #[error("the bundle folder {folder} does not exist")]
    FolderMissing {
        /// The bundle's folder.
        folder: String,
    },
    /// A required file is missing.
    #[error("the bundle {folder} has no {file}")]
    FileMissing {
        /// The bundle's folder.
        folder: String,
        /// The file, relative to it.
        file: String,
    },
    /// The size of a file differs from the manifest.
    #[error(
        "{file} of the bundle {folder} has {found_bytes} bytes; the manifest declares \
         {expected_bytes}"
    )]
    SizeMismatch {
        /// The bundle's folder.
        folder: String,
        /// The file, relative to it.
        file: String,
        /// Size on disk.
        found_bytes: u64,
        /// Size in the manifest.
        expected_bytes: u64,
    },
    /// The manifest is invalid, or this version does not support it.
    #[error("the manifest of the bundle {folder} is invalid")]
    Manifest {
        /// The bundle's folder.
        folder: String,
        /// The field and the reason.
        source: ManifestError,
    },
    /// The bundle is for another task.
    #[error("the bundle {folder} is for the task {found}; expected the task {expected}")]
    WrongTask {
        /// The bundle's folder.
        folder: String,
        /// The bundle's task.
        found: Task,
        /// The required task.
        expected: Task,
    },
    /// The file system failed.
    #[error("{file} of the bundle {folder} cannot be read")]
    Io {
        /// The bundle's folder.
        folder: String,
        /// The file, relative to it.
        file: String,
        /// The error of the operating system.
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
        "The size of a file of the bundle differs from the manifest. Copy the bundle again.",
    ),
    Self::Manifest { .. } => Code::new(
        "bundle.invalid_manifest",
        Fault::Start,
        "The manifest is invalid, or this version does not support it. The message names the \
         field. Rebuild the bundle with the builder of this version.",
    ),
    Self::WrongTask { .. } => Code::new(
        "bundle.wrong_task",
        Fault::Start,
        "An embedding bundle is configured as the cross-encoder, or the other way around.",
    ),
    Self::Io { .. } => Code::BUNDLE_UNREADABLE,
});

impl Bundle {
    /// Opens the bundle in `folder`. Reads the manifest and the sizes of the files, not their contents.
    ///
    /// # Errors
    /// - [`BundleError::FolderMissing`] if the folder does not exist.
    /// - [`BundleError::FileMissing`] if `bundle.json` or a file that it lists is missing.
    /// - [`BundleError::SizeMismatch`] if the size of a file differs from the manifest.
    /// - [`BundleError::Manifest`] if the manifest is invalid or not supported; names the field.
    /// - [`BundleError::Io`] if the file system fails otherwise.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let name = || folder.display().to_string();
        if !folder.is_dir() {
            return Err(BundleError::FolderMissing { folder: name() });
        }
        let bytes = read_manifest(&folder.join(MANIFEST_FILE))
            .map_err(|error| missing_or_io(folder, MANIFEST_FILE, error))?;
        let manifest = Manifest::parse(&bytes)
            .map_err(|source| BundleError::Manifest { folder: name(), source })?;
        for file in manifest.files.iter() {
            let found_bytes = size_of_file(&folder.join(&file.path))
                .map_err(|error| missing_or_io(folder, &file.path, error))?;
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
    /// - [`BundleError::WrongTask`] if it is for another task.
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

    /// Requests read-ahead of the weights from the operating system, and returns without waiting.
    /// Every inference reads all weights.
    ///
    /// # Errors
    /// - [`BundleError::Io`] if the weights cannot be mapped.
    pub fn page_in(&self) -> Result<(), BundleError> {
        let file = &self.manifest.files.weights;
        map::map(&self.path_of(file))
            .and_then(|map| map::will_need(&map, 0..map.len()))
            .map_err(|error| missing_or_io(&self.folder, &file.path, error))
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The digest of the bundle: sha256 of its manifest, 64 lowercase hex digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The folder of the bundle.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file of the manifest.
    #[must_use]
    pub fn path_of(&self, file: &BundleFile) -> PathBuf {
        self.folder.join(&file.path)
    }
}

/// Returns the size of a regular file. Opening anything else, such as a pipe, could block.
fn size_of_file(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

fn read_manifest(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = size_of_file(path)?;
    match bytes > MAX_MANIFEST_BYTES {
        true => {
            let message = format!("{bytes} bytes; the limit is {MAX_MANIFEST_BYTES}");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
        }
        false => fs::read(path),
    }
}

/// Returns the error for a file that could not be read.
pub(crate) fn missing_or_io(folder: &Path, file: &str, source: io::Error) -> BundleError {
    let (folder, file) = (folder.display().to_string(), file.to_owned());
    match source.kind() {
        io::ErrorKind::NotFound => BundleError::FileMissing { folder, file },
        _ => BundleError::Io { folder, file, source },
    }
}
