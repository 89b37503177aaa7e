//! Staging folders, in which a bundle is assembled before it is published.
//!
//! A slot is a folder with a lock, used by one run at a time. A run locks the first free slot, so
//! concurrent runs neither wait for each other nor write the same file. The operating system releases
//! the lock when a process ends for any reason, so the content of an unlocked slot is unused. The next
//! run resumes or removes it, regardless of its age.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::SyncError;
use super::version::ModelVersion;

/// Name of the folder of the slots. It is in the root, so that it is on the same file system. It is not
/// a valid model name.
const STAGING: &str = ".staging";

/// A slot that this run has locked. Dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct Slot {
    number: usize,
    folder: PathBuf,
    /// The locked file. It is never removed: otherwise two runs could lock different files with the
    /// same name.
    lock: File,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Closing the file is not enough. If another thread is starting a process, that process has
        // the file too, and keeps the lock until it runs its program. If the unlock fails, closing the
        // file still releases the lock.
        let _ = self.lock.unlock();
    }
}

impl Slot {
    /// Locks the first free slot.
    pub(crate) fn acquire(root: &Path) -> Result<Self, SyncError> {
        let staging = root.join(STAGING);
        // The root is not created: if it is missing, the file system is not mounted.
        create_folder(&staging)?;
        let mut number = 0;
        loop {
            if let Some(slot) = Self::try_acquire(&staging, number)? {
                return Ok(slot);
            }
            number += 1;
        }
    }

    /// Returns the folder in which a version is assembled. Creates it if it does not exist.
    pub(crate) fn version_folder(&self, version: &ModelVersion) -> Result<PathBuf, SyncError> {
        let folder = self.folder.join(version.staging_name());
        create_folder(&folder)?;
        Ok(folder)
    }

    /// Returns a path in this slot to rename an entry to before removing it.
    pub(crate) fn trash(&self, name: &str) -> PathBuf {
        self.folder.join(format!("removed-{name}"))
    }

    /// Removes the content of this slot, except the version `keep`.
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

    /// Removes the content of all other unlocked slots.
    pub(crate) fn clear_others(&self) -> Result<(), SyncError> {
        let Some(staging) = self.folder.parent() else { return Ok(()) };
        let numbers = entries(staging)?
            .into_iter()
            .filter(|entry| is_folder(entry))
            .filter_map(|entry| entry.file_name()?.to_str()?.parse().ok())
            .filter(|number| *number != self.number);
        for number in numbers.collect::<Vec<usize>>() {
            if let Some(slot) = Self::try_acquire(staging, number)? {
                slot.clear(None)?;
            }
        }
        Ok(())
    }

    fn try_acquire(staging: &Path, number: usize) -> Result<Option<Self>, SyncError> {
        let path = staging.join(format!("{number}.lock"));
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|error| SyncError::from_io(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(SyncError::from_io(&path, error)),
        }
        let folder = staging.join(number.to_string());
        create_folder(&folder)?;
        Ok(Some(Self { number, folder, lock }))
    }
}

/// Creates a folder that only this user can access, if it does not exist. Anything else with its name, such
/// as a link to another folder, is removed first.
fn create_folder(path: &Path) -> Result<(), SyncError> {
    let create = || DirBuilder::new().mode(0o700).create(path);
    let created = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_folder(path) => {
            remove(path)?;
            create()
        }
        created => created,
    };
    match created {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(SyncError::from_io(path, error))
        }
        _ => Ok(()),
    }
}

/// Whether a path is a folder and not a link to one.
pub(crate) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns the entries of a folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, SyncError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|error| SyncError::from_io(folder, error))
}

/// Removes a file, or a folder with its content, if it exists.
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
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;
    use crate::version::tests::version;

    #[test]
    fn a_process_that_is_being_started_does_not_keep_a_slot() {
        let root = TempDir::new().unwrap();
        let slot = Slot::acquire(root.path()).unwrap();
        // What a process has between its fork and its program: the same open file.
        let of_the_process = slot.lock.try_clone().unwrap();
        drop(slot);
        assert_eq!(Slot::acquire(root.path()).unwrap().number, 0);
        drop(of_the_process);
    }

    #[test]
    fn a_slot_is_used_by_one_run_at_a_time() {
        let root = TempDir::new().unwrap();
        let first = Slot::acquire(root.path()).unwrap();
        let second = Slot::acquire(root.path()).unwrap();
        assert_eq!((first.number, second.number), (0, 1));
        drop(first);
        assert_eq!(Slot::acquire(root.path()).unwrap().number, 0);
    }

    #[test]
    fn files_of_a_crashed_run_of_the_version_are_kept() {
        let root = TempDir::new().unwrap();
        let write = |slot: &Slot| {
            let folder = slot.version_folder(&version('a')).unwrap();
            fs::write(folder.join("model.onnx"), b"half").unwrap();
        };
        write(&Slot::acquire(root.path()).unwrap());
        let slot = Slot::acquire(root.path()).unwrap();
        slot.clear(Some(&version('a'))).unwrap();
        let folder = slot.version_folder(&version('a')).unwrap();
        assert_eq!(fs::read(folder.join("model.onnx")).unwrap(), b"half");
    }

    #[test]
    fn files_of_a_crashed_run_of_another_version_are_removed() {
        let root = TempDir::new().unwrap();
        let left = Slot::acquire(root.path()).unwrap().version_folder(&version('a')).unwrap();
        let slot = Slot::acquire(root.path()).unwrap();
        slot.clear(Some(&version('b'))).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn only_unlocked_slots_are_cleared() {
        let root = TempDir::new().unwrap();
        let (first, second, third) = (
            Slot::acquire(root.path()).unwrap(),
            Slot::acquire(root.path()).unwrap(),
            Slot::acquire(root.path()).unwrap(),
        );
        let of = |slot: &Slot| slot.version_folder(&version('a')).unwrap();
        let (mine, dead, living) = (of(&first), of(&second), of(&third));
        drop(second);
        first.clear_others().unwrap();
        assert_eq!((mine.exists(), dead.exists(), living.exists()), (true, false, true));
    }

    #[test]
    fn a_link_in_place_of_a_folder_is_replaced() {
        let (root, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let link = |path: &Path| symlink(elsewhere.path(), path).unwrap();
        link(&root.path().join(STAGING));
        let slot = Slot::acquire(root.path()).unwrap();
        link(&slot.folder.join(version('a').staging_name()));
        let folder = slot.version_folder(&version('a')).unwrap();
        assert!(is_folder(&folder) && is_folder(&root.path().join(STAGING)));
        drop(slot);
        let staging = root.path().join(STAGING);
        fs::remove_dir_all(staging.join("0")).unwrap();
        link(&staging.join("0"));
        assert!(is_folder(&Slot::acquire(root.path()).unwrap().folder));
        fs::remove_file(staging.join("0.lock")).unwrap();
        symlink("/etc/hostname", staging.join("0.lock")).unwrap();
        assert_eq!(Slot::acquire(root.path()).unwrap_err().code().name, "sync.io");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing was written there");
    }

    #[test]
    fn a_missing_root_is_not_created() {
        let root = TempDir::new().unwrap();
        let missing = root.path().join("mnt");
        assert_eq!(Slot::acquire(&missing).unwrap_err().code().name, "sync.io");
        assert!(!missing.exists());
    }
}
