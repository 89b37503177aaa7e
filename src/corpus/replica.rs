//! A copy of an index that is filled from elsewhere, version by version.
//!
//! The files of a version are added first, each whole and durable; then the version is made current. A
//! crash leaves the old version or the new one, and the files that were added stay for the next run.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::current;
use super::error::CorpusError;
use super::files::{digest, entries, name_of, remove, sync_folder, write_whole_with};
use super::index::{
    Index, MANIFESTS, SEGMENTS, STAGING, TOMBSTONES, manifest_path, tombstones_path,
};
use super::lock::{LOCK_FILE, Lock, try_lock};
use super::manifest::{FileEntry, IndexManifest, SEGMENT_FILE, SegmentManifest};
use super::point::Points;
use super::prune::prune;
use super::segment::{ReadAhead, Segment};
use crate::bundle::{BundleFile, sha256_hex};

/// Mode of published files and folders. Another user reads them.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// A copy of an index, locked by this process.
#[derive(Debug)]
pub struct Replica {
    folder: PathBuf,
    _lock: Lock,
}

impl Replica {
    /// Locks the copy of the index `name` in a folder of indexes, which is created if the folder above
    /// exists. Returns none if another process has locked it.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if a folder is a link or a file.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn try_lock(indexes: &Path, name: &str) -> Result<Option<Self>, CorpusError> {
        let folder = &indexes.join(name);
        create_folder(indexes, FOLDER_MODE)?;
        if let Some(above) = indexes.parent() {
            sync_folder(above)?;
        }
        create_folder(folder, FOLDER_MODE)?;
        sync_folder(indexes)?;
        for name in [MANIFESTS, SEGMENTS, TOMBSTONES] {
            create_folder(&folder.join(name), FOLDER_MODE)?;
        }
        create_folder(&folder.join(STAGING), 0o700)?;
        sync_folder(folder)?;
        let lock = try_lock(&folder.join(STAGING))?;
        Ok(lock.map(|lock| Self { folder: folder.to_path_buf(), _lock: lock }))
    }

    /// The digest of the current version, if there is one. A damaged `CURRENT` names none.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn current(&self) -> Result<Option<String>, CorpusError> {
        match Index::current(&self.folder) {
            Err(CorpusError::Damaged { .. }) => Ok(None),
            current => current,
        }
    }

    /// Opens a version, if all its files are there with the declared sizes.
    #[must_use]
    pub fn open(&self, digest: &str) -> Option<Index> {
        Index::open_version(&self.folder, digest).ok()
    }

    /// Whether a segment is there, and its files have the declared sizes.
    #[must_use]
    pub fn has_segment(&self, digest: &str) -> bool {
        Segment::open(&self.segment(digest), digest, ReadAhead::Nothing).is_ok()
    }

    /// The folder of a segment that is there.
    #[must_use]
    pub fn segment(&self, digest: &str) -> PathBuf {
        self.folder.join(SEGMENTS).join(digest)
    }

    /// Returns the folder in which a segment is put together. Files of an earlier run stay in it.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn staged_segment(&self, digest: &str) -> Result<PathBuf, CorpusError> {
        let folder = self.folder.join(STAGING).join(digest);
        create_folder(&folder, 0o700)?;
        Ok(folder)
    }

    /// Removes what runs that ended early left, except the segments `keep`.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn clear(&self, keep: &[&str]) -> Result<(), CorpusError> {
        for entry in entries(&self.folder.join(STAGING))? {
            let name = name_of(&entry).unwrap_or_default();
            if name != LOCK_FILE && !keep.contains(&name) {
                remove(&entry)?;
            }
        }
        Ok(())
    }

    /// Adds a segment that was put together in its staging folder. Its files are flushed to disk.
    ///
    /// # Errors
    /// - [`CorpusError::InvalidManifest`], [`CorpusError::SizeMismatch`], [`CorpusError::Damaged`] if
    ///   it is not the segment.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn add_segment(&self, digest: &str) -> Result<(), CorpusError> {
        let staged = self.staged_segment(digest)?;
        Segment::open(&staged, digest, ReadAhead::Nothing)?;
        fs::set_permissions(&staged, Permissions::from_mode(FOLDER_MODE))
            .map_err(|error| CorpusError::io(&staged, error))?;
        sync_folder(&staged)?;
        let target = self.segment(digest);
        // An incomplete one. No reader can have opened it.
        remove(&target)?;
        fs::rename(&staged, &target).map_err(|error| CorpusError::io(&target, error))?;
        sync_folder(&self.folder.join(SEGMENTS))
    }

    /// Replaces a file of a segment with a staged one, which is flushed to disk. A reader that has mapped
    /// the file keeps the old one.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn replace_file(&self, digest: &str, name: &str) -> Result<(), CorpusError> {
        let target = self.segment(digest).join(name);
        fs::rename(self.staged_segment(digest)?.join(name), &target)
            .map_err(|error| CorpusError::io(&target, error))?;
        sync_folder(&self.segment(digest))
    }

    /// Adds a set of deleted rows.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if the content does not have the digest.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn add_tombstones(&self, digest: &str, bytes: &[u8]) -> Result<(), CorpusError> {
        self.add(&tombstones_path(&self.folder, digest), digest, bytes)
    }

    /// Adds the manifest of a version. Its segments and sets of deleted rows are there.
    ///
    /// # Errors
    /// - As [`Self::add_tombstones`].
    pub fn add_manifest(&self, digest: &str, bytes: &[u8]) -> Result<(), CorpusError> {
        self.add(&manifest_path(&self.folder, digest), digest, bytes)
    }

    fn add(&self, path: &Path, digest: &str, bytes: &[u8]) -> Result<(), CorpusError> {
        if sha256_hex(bytes) != digest {
            return Err(CorpusError::damaged(path, "its digest is not its name"));
        }
        write_whole_with(path, bytes, Some(FILE_MODE))?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    /// Makes a complete version current. Readers open it within a second.
    ///
    /// # Errors
    /// - As [`Index::open_version`], if it is not complete.
    pub fn publish(&self, digest: &str) -> Result<(), CorpusError> {
        Index::open_version(&self.folder, digest)?;
        if self.current()?.as_deref() == Some(digest) {
            return Ok(());
        }
        current::replace(&self.folder, digest, Some(FILE_MODE), &Points::default())
    }

    /// Removes versions that were replaced before the grace period, and what only they use. Returns their
    /// digests.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn prune(&self, grace: Duration) -> Result<Vec<String>, CorpusError> {
        match self.current()? {
            Some(current) => prune(&self.folder, &current, grace, &Points::default()),
            None => Ok(Vec::new()),
        }
    }
}

/// Parses the manifest of a version. `path` is its name in an error.
///
/// # Errors
/// - [`CorpusError::InvalidManifest`] with the field.
pub fn parse_manifest(path: &Path, bytes: &[u8]) -> Result<IndexManifest, CorpusError> {
    IndexManifest::parse(path, bytes)
}

/// Parses the manifest of a segment and returns its files, without the manifest itself.
///
/// # Errors
/// - [`CorpusError::InvalidManifest`] with the field.
pub fn parse_segment(path: &Path, bytes: &[u8]) -> Result<Vec<BundleFile>, CorpusError> {
    let manifest = SegmentManifest::parse(path, bytes)?;
    let file = |(path, file): (String, FileEntry)| BundleFile {
        path,
        size_bytes: file.size_bytes,
        sha256: file.sha256,
    };
    Ok(manifest.files.into_iter().map(file).collect())
}

/// Returns the sha256 of a file.
///
/// # Errors
/// - [`CorpusError::Io`] if it cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, CorpusError> {
    digest(path).map(|(_, sha256)| sha256)
}

/// Name of the manifest of a segment in its folder.
pub const SEGMENT_MANIFEST: &str = SEGMENT_FILE;

/// Returns the path of the manifest of a version in the folder of an index.
#[must_use]
pub fn manifest_file(digest: &str) -> String {
    format!("{MANIFESTS}/{digest}.json")
}

/// Returns the path of a file of a segment in the folder of an index.
#[must_use]
pub fn segment_file(digest: &str, name: &str) -> String {
    format!("{SEGMENTS}/{digest}/{name}")
}

/// Returns the path of a set of deleted rows in the folder of an index.
#[must_use]
pub fn tombstones_file(digest: &str) -> String {
    format!("{TOMBSTONES}/{digest}.bits")
}

/// Creates a folder, if it does not exist. A link would lead out of the index.
fn create_folder(path: &Path, mode: u32) -> Result<(), CorpusError> {
    match DirBuilder::new().mode(mode).create(path) {
        // The mask of the process does not apply to this.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|error| CorpusError::io(path, error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match fs::symlink_metadata(path) {
                Ok(metadata) if metadata.is_dir() => Ok(()),
                Ok(_) => Err(CorpusError::damaged(path, "it is not a folder")),
                Err(error) => Err(CorpusError::io(path, error)),
            }
        }
        Err(error) => Err(CorpusError::io(path, error)),
    }
}
