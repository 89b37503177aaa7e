//! The file `CURRENT`, which names the current version of an index.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use super::error::CorpusError;
use super::files::{sync_folder, write_partial};
use super::index::{CURRENT_FILE, Index, STAGING, manifest_path};
use super::lock::try_lock;
use super::point::Points;
use crate::bundle::is_sha256;

/// Makes a version current. Its files are durable already.
///
/// The version that is replaced gets the time of its replacement: it is kept for a while from then on.
pub(crate) fn replace(
    folder: &Path,
    digest: &str,
    mode: Option<u32>,
    points: &Points,
) -> Result<(), CorpusError> {
    // A file that is damaged names no version.
    if let Ok(Some(replaced)) = Index::current(folder)
        && replaced != digest
    {
        touch(&manifest_path(folder, &replaced))?;
    }
    let current = folder.join(CURRENT_FILE);
    let partial = write_partial(&current, format!("{digest}\n").as_bytes(), mode)?;
    points.reach("current_written");
    fs::rename(&partial, &current).map_err(|error| CorpusError::io(&current, error))?;
    points.reach("current_renamed");
    sync_folder(folder)
}

/// Makes an earlier or later version of an index current, whose files are still there.
///
/// # Errors
/// - [`CorpusError::NotFound`] if the folder has no index.
/// - [`CorpusError::UnknownVersion`] if it has no such version.
/// - [`CorpusError::Locked`] if another process writes the index.
/// - As [`Index::open_version`], if the version is not complete.
pub fn use_version(folder: &Path, digest: &str) -> Result<Index, CorpusError> {
    if Index::current(folder)?.is_none() {
        return Err(CorpusError::NotFound { folder: folder.display().to_string() });
    }
    let locked = || CorpusError::Locked { folder: folder.display().to_string() };
    let _lock = try_lock(&folder.join(STAGING))?.ok_or_else(locked)?;
    if !(is_sha256(digest) && manifest_path(folder, digest).is_file()) {
        let version = digest.chars().take(64).collect();
        let folder = folder.display().to_string();
        return Err(CorpusError::UnknownVersion { version, folder });
    }
    let index = Index::open_version(folder, digest)?;
    replace(folder, digest, None, &Points::default())?;
    Ok(index)
}

/// Sets the time of a file to now. A version that was removed has no file.
fn touch(path: &Path) -> Result<(), CorpusError> {
    match File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CorpusError::io(path, error))
        }
        _ => Ok(()),
    }
}
