//! A partially written file that is hashed while it is written.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::error::SyncError;
use super::staging::remove;
use semblance::internals::bundle::hex;

/// Mode of a published file. Another user reads it through another access point.
const FILE_MODE: u32 = 0o644;

/// Size of a read from a file of an earlier run, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// A prefix of a file on disk, and its hash.
pub(crate) struct PartialFile {
    path: PathBuf,
    file: File,
    sha256: Sha256,
    written_bytes: u64,
    size_bytes: u64,
}

impl PartialFile {
    /// Opens the file at `path`, whose final size is `size_bytes`, and hashes the bytes of an earlier
    /// run. Anything else with its name is removed first: writing through a link would change a file
    /// outside of the staging folder.
    pub(crate) fn open(path: PathBuf, size_bytes: u64) -> Result<Self, SyncError> {
        let is_own = |file: &Metadata| file.is_file() && file.nlink() == 1;
        if fs::symlink_metadata(&path).is_ok_and(|file| !is_own(&file)) {
            remove(&path)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.custom_flags(libc::O_NOFOLLOW).open(&path);
        let file = file.map_err(|error| SyncError::from_io(&path, error))?;
        let mut partial = Self { path, file, sha256: Sha256::new(), written_bytes: 0, size_bytes };
        partial.hash_existing()?;
        Ok(partial)
    }

    /// Removes all bytes.
    pub(crate) fn truncate(self) -> Result<Self, SyncError> {
        self.file.set_len(0).map_err(|error| self.failed(error))?;
        Self::open(self.path, self.size_bytes)
    }

    /// Number of bytes written, including those of earlier runs.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Appends a block.
    pub(crate) fn append(&mut self, block: &[u8]) -> Result<(), SyncError> {
        let mut rest = block;
        while !rest.is_empty() {
            let written = match self.file.write(rest) {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            self.written_bytes += written as u64;
            rest = &rest[written..];
        }
        self.sha256.update(block);
        Ok(())
    }

    /// Flushes the file to disk and returns its sha256.
    pub(crate) fn finish(&self) -> Result<String, SyncError> {
        self.file
            .set_permissions(Permissions::from_mode(FILE_MODE))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| self.failed(error))?;
        Ok(hex(&self.sha256.clone().finalize()))
    }

    fn hash_existing(&mut self) -> Result<(), SyncError> {
        let length = self.file.metadata().map_err(|error| self.failed(error))?.len();
        if length > self.size_bytes {
            return self.file.set_len(0).map_err(|error| self.failed(error));
        }
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
        while self.written_bytes < length {
            match self.file.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => {
                    self.sha256.update(&chunk[..read]);
                    self.written_bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> SyncError {
        match SyncError::from_io(&self.path, error) {
            SyncError::NoSpace { path, source } => SyncError::DiskFull {
                path,
                written_bytes: self.written_bytes,
                size_bytes: self.size_bytes,
                source,
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use semblance::internals::bundle::sha256_hex;

    fn folder_with(content: &[u8]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("model.weights");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_is_hashed_while_it_is_written() {
        let (_folder, path) = folder_with(b"");
        let mut partial = PartialFile::open(path.clone(), 6).unwrap();
        partial.append(b"abc").unwrap();
        partial.append(b"def").unwrap();
        assert_eq!(partial.finish().unwrap(), sha256_hex(b"abcdef"));
        assert_eq!(fs::read(&path).unwrap(), b"abcdef");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
    }

    #[test]
    fn bytes_of_an_earlier_run_are_kept() {
        let (_folder, path) = folder_with(b"abc");
        let mut partial = PartialFile::open(path.clone(), 6).unwrap();
        assert_eq!(partial.written_bytes(), 3);
        partial.append(b"def").unwrap();
        assert_eq!(partial.finish().unwrap(), sha256_hex(b"abcdef"));
        assert_eq!(fs::read(&path).unwrap(), b"abcdef");
    }

    #[test]
    fn a_file_that_is_too_long_is_discarded() {
        let (_folder, path) = folder_with(b"abcdefg");
        let mut partial = PartialFile::open(path.clone(), 6).unwrap();
        assert_eq!(partial.written_bytes(), 0);
        partial.append(b"abcdef").unwrap();
        assert_eq!(partial.finish().unwrap(), sha256_hex(b"abcdef"));
        assert_eq!(fs::read(&path).unwrap(), b"abcdef");
    }

    #[test]
    fn truncate_removes_all_bytes() {
        let (_folder, path) = folder_with(b"xyz");
        let mut partial = PartialFile::open(path.clone(), 6).unwrap().truncate().unwrap();
        assert_eq!(partial.written_bytes(), 0);
        partial.append(b"abcdef").unwrap();
        assert_eq!(partial.finish().unwrap(), sha256_hex(b"abcdef"));
        assert_eq!(fs::read(&path).unwrap(), b"abcdef");
    }

    #[test]
    fn a_link_is_replaced_and_its_target_unchanged() {
        let (folder, target) = folder_with(b"abc");
        let path = folder.path().join("staged");
        let links = [
            |target: &Path, path: &Path| symlink(target, path),
            |target: &Path, path: &Path| fs::hard_link(target, path),
            |_: &Path, path: &Path| fs::create_dir(path),
        ];
        for link in links {
            link(&target, &path).unwrap();
            let mut partial = PartialFile::open(path.clone(), 6).unwrap();
            assert_eq!(partial.written_bytes(), 0);
            partial.append(b"defghi").unwrap();
            partial.finish().unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"abc");
            assert_eq!(fs::read(&path).unwrap(), b"defghi");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_full_disk_is_an_error_with_both_sizes() {
        // Every write to this device fails with ENOSPC.
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut partial =
            PartialFile { path, file, sha256: Sha256::new(), written_bytes: 0, size_bytes: 6 };
        match partial.append(b"abc").unwrap_err() {
            SyncError::DiskFull { path, written_bytes, size_bytes, .. } => {
                assert_eq!((path.as_str(), written_bytes, size_bytes), ("/dev/full", 0, 6));
            }
            other => panic!("{other}"),
        }
    }
}
