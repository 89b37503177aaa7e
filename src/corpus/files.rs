//! Files that survive a crash: written under another name, synced and renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::CorpusError;
use crate::bundle::hex;

/// Maximum size of a file that is read into memory: a manifest of 50,000 segments.
const MAX_READ_BYTES: u64 = 16 << 20;

/// Reads a small file of an index. Neither a link nor a pipe is followed or waited for, and a large file
/// is refused.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>, CorpusError> {
    check_is_file(path)?;
    let io = |error| CorpusError::io(path, error);
    let (mut bytes, file) = (Vec::new(), File::open(path).map_err(io)?);
    file.take(MAX_READ_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 > MAX_READ_BYTES {
        true => Err(CorpusError::damaged(path, format!("it has more than {MAX_READ_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

/// Checks that a path is a regular file, not a link to one. Returns its size.
pub(crate) fn check_is_file(path: &Path) -> Result<u64, CorpusError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| CorpusError::io(path, error))?;
    match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(CorpusError::damaged(path, "it is not a regular file")),
    }
}

/// Checks that a path is a folder, not a link to one.
pub(crate) fn check_is_folder(path: &Path) -> Result<(), CorpusError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| CorpusError::io(path, error))?;
    match metadata.is_dir() {
        true => Ok(()),
        false => Err(CorpusError::damaged(path, "it is not a folder")),
    }
}

/// Writes a file that appears whole or not at all. The name is durable after [`sync_folder`].
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CorpusError> {
    write_whole_with(path, bytes, None)
}

/// Writes a file as [`write_whole`], with these permissions instead of those of the process.
pub(crate) fn write_whole_with(
    path: &Path,
    bytes: &[u8],
    mode: Option<u32>,
) -> Result<(), CorpusError> {
    let partial = write_partial(path, bytes, mode)?;
    fs::rename(&partial, path).map_err(|error| CorpusError::io(path, error))
}

/// Writes and syncs the file that is renamed to `path` to publish it. Returns its path.
pub(crate) fn write_partial(
    path: &Path,
    bytes: &[u8],
    mode: Option<u32>,
) -> Result<PathBuf, CorpusError> {
    let partial = with_suffix(path, ".tmp");
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Some(mode) = mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.sync_all()
    });
    written.map_err(|error| CorpusError::io(path, error))?;
    Ok(partial)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), CorpusError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| CorpusError::io(folder, error))
}

/// Creates a folder and those above it, if they do not exist. Their names are durable.
pub(crate) fn create_folder(folder: &Path) -> Result<(), CorpusError> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match folder.parent() {
            Some(above) if above != Path::new("") => {
                create_folder(above)?;
                create_folder(folder)
            }
            _ => Err(CorpusError::io(folder, error)),
        },
        Err(error) => Err(CorpusError::io(folder, error)),
        Ok(()) => {
            let above = folder.parent().filter(|above| *above != Path::new(""));
            sync_folder(above.unwrap_or(Path::new(".")))
        }
    }
}

/// Returns the entries of a folder, in the order of their names. A missing folder has none.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let listed = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    match listed {
        Ok(mut paths) => {
            paths.sort();
            Ok(paths)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CorpusError::io(folder, error)),
    }
}

/// Removes a file, or a folder with its content, if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), CorpusError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CorpusError::io(path, error)),
        _ => Ok(()),
    }
}

/// Returns the size and the sha256 of a file.
pub(crate) fn digest(path: &Path) -> Result<(u64, String), CorpusError> {
    let read = || -> io::Result<(u64, String)> {
        let mut file = File::open(path)?;
        let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((size, hex(&hash.finalize())));
            }
            hash.update(&buffer[..read]);
            size += read as u64;
        }
    };
    read().map_err(|error| CorpusError::io(path, error))
}

/// Returns the last component of a path, if it is text.
pub(crate) fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
