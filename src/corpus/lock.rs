//! The lock of the one writer of an index.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::error::CorpusError;

/// Name of the locked file in the staging folder.
pub(crate) const LOCK_FILE: &str = "lock";

/// Locks the staging folder of an index. Returns none if another process has locked it. Dropping the
/// file, or the end of the process, releases the lock.
pub(crate) fn try_lock(staging: &Path) -> Result<Option<File>, CorpusError> {
    let path = staging.join(LOCK_FILE);
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| CorpusError::io(&path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(CorpusError::io(&path, error)),
    }
}
