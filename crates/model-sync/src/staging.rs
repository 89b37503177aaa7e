//! Where a bundle is put together before it is published: slots, each of one run at a time.
//!
//! A slot is a folder with a lock. A run takes the first slot that is free, so runs side by side
//! never wait for each other and never write the same file; and since the system frees the lock of
//! a process that dies, however it dies, what lies in a free slot belongs to nobody. The next run
//! goes on from it or removes it. No clock and no age decide that.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::SyncError;
use super::version::ModelVersion;

/// Holds the slots, below the root: on the same file system, and no model's name.
const STAGING: &str = ".staging";

/// A slot that this run has; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    number: usize,
    folder: PathBuf,
    /// The lock is on this open file. The file stays when the slot is free: removing it would let
    /// two runs lock two files of one name.
    _lock: File,
}

impl Slot {
    /// Takes the first free slot.
    pub(crate) fn take(root: &Path) -> Result<Self, SyncError> {
        let staging = root.join(STAGING);
        // Not the root: without it, the file system is not mounted.
        create_folder(&staging)?;
        let mut number = 0;
        loop {
            if let Some(slot) = Self::try_take(&staging, number)? {
                return Ok(slot);
            }
            number += 1;
        }
    }

    /// The folder in which a version is put together; made if it is not there.
    pub(crate) fn version_folder(&self, version: &ModelVersion) -> Result<PathBuf, SyncError> {
        let folder = self.folder.join(version.staging_name());
        create_folder(&folder)?;
        Ok(folder)
    }

    /// A name in this slot for what is to be removed.
    pub(crate) fn trash(&self, name: &str) -> PathBuf {
        self.folder.join(format!("removed-{name}"))
    }

    /// Removes everything that lies in this slot, or everything but one version.
    pub(crate) fn clear(&self, keep: Option<&ModelVersion>) -> Result<(), SyncError> {
        let keep = keep.map(ModelVersion::staging_name);
        for entry in entries(&self.folder)? {
            let is_kept = entry.file_name().and_then(|name| name.to_str()) == keep.as_deref();
            if keep.is_none() || !is_kept {
                remove(&entry)?;
            }
        }
        Ok(())
    }

    /// Removes everything that lies in the other slots that nobody has.
    pub(crate) fn clear_others(&self) -> Result<(), SyncError> {
        let Some(staging) = self.folder.parent() else { return Ok(()) };
        let numbers = entries(staging)?
            .into_iter()
            .filter(|entry| entry.is_dir())
            .filter_map(|entry| entry.file_name()?.to_str()?.parse().ok())
            .filter(|number| *number != self.number);
        for number in numbers.collect::<Vec<usize>>() {
            if let Some(slot) = Self::try_take(staging, number)? {
                slot.clear(None)?;
            }
        }
        Ok(())
    }

    fn try_take(staging: &Path, number: usize) -> Result<Option<Self>, SyncError> {
        let path = staging.join(format!("{number}.lock"));
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| SyncError::from_io(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(SyncError::from_io(&path, error)),
        }
        let folder = staging.join(number.to_string());
        create_folder(&folder)?;
        Ok(Some(Self { number, folder, _lock: lock }))
    }
}

/// Makes a folder for this user alone, unless it is there.
fn create_folder(path: &Path) -> Result<(), SyncError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(SyncError::from_io(path, error))
        }
        _ => Ok(()),
    }
}

/// Returns what lies in a folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, SyncError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|error| SyncError::from_io(folder, error))
}

/// Removes a file, or a folder with all that is in it; it may be gone already.
pub(crate) fn remove(path: &Path) -> Result<(), SyncError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SyncError::from_io(path, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::version::tests::version;

    #[test]
    fn a_slot_is_of_one_run_at_a_time() {
        let root = TempDir::new().unwrap();
        let first = Slot::take(root.path()).unwrap();
        let second = Slot::take(root.path()).unwrap();
        assert_eq!((first.number, second.number), (0, 1));
        drop(first);
        assert_eq!(Slot::take(root.path()).unwrap().number, 0);
    }

    #[test]
    fn what_a_dead_run_left_of_the_same_version_is_found() {
        let root = TempDir::new().unwrap();
        let write = |slot: &Slot| {
            let folder = slot.version_folder(&version('a')).unwrap();
            fs::write(folder.join("model.onnx"), b"half").unwrap();
        };
        write(&Slot::take(root.path()).unwrap());
        let slot = Slot::take(root.path()).unwrap();
        slot.clear(Some(&version('a'))).unwrap();
        let folder = slot.version_folder(&version('a')).unwrap();
        assert_eq!(fs::read(folder.join("model.onnx")).unwrap(), b"half");
    }

    #[test]
    fn what_a_dead_run_left_of_another_version_is_removed() {
        let root = TempDir::new().unwrap();
        let left = Slot::take(root.path()).unwrap().version_folder(&version('a')).unwrap();
        let slot = Slot::take(root.path()).unwrap();
        slot.clear(Some(&version('b'))).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn only_slots_that_nobody_has_are_cleared() {
        let root = TempDir::new().unwrap();
        let (first, second, third) = (
            Slot::take(root.path()).unwrap(),
            Slot::take(root.path()).unwrap(),
            Slot::take(root.path()).unwrap(),
        );
        let of = |slot: &Slot| slot.version_folder(&version('a')).unwrap();
        let (mine, dead, living) = (of(&first), of(&second), of(&third));
        drop(second);
        first.clear_others().unwrap();
        assert_eq!((mine.exists(), dead.exists(), living.exists()), (true, false, true));
    }

    #[test]
    fn a_root_that_is_not_there_is_not_made() {
        let root = TempDir::new().unwrap();
        let missing = root.path().join("mnt");
        assert_eq!(Slot::take(&missing).unwrap_err().code().name, "sync.io");
        assert!(!missing.exists());
    }
}
