//! The lock of the one writer of an index.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::error::CorpusError;

/// Name of the locked file in the staging folder.
pub(crate) const LOCK_FILE: &str = "lock";

/// The lock of an index. Dropping it, or the end of the process, releases it.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough. If another thread is starting a process, that process has
        // the file too, and keeps the lock until it runs its program. If the unlock fails, closing the
        // file still releases the lock.
        let _ = self.0.unlock();
    }
}

/// Locks the staging folder of an index. Returns none if it is locked.
pub(crate) fn try_lock(staging: &Path) -> Result<Option<Lock>, CorpusError> {
    let path = staging.join(LOCK_FILE);
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| CorpusError::io(&path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(Lock(lock))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(CorpusError::io(&path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_being_started_does_not_keep_the_lock() {
        let staging = tempfile::tempdir().unwrap();
        let lock = try_lock(staging.path()).unwrap().unwrap();
        assert!(try_lock(staging.path()).unwrap().is_none());
        // What a process has between its fork and its program: the same open file.
        let of_the_process = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(try_lock(staging.path()).unwrap().is_some());
        drop(of_the_process);
    }
}
