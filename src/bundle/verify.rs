//! Reading a whole bundle and comparing every byte's hash.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{Bundle, BundleFile, hex};
use crate::code::{Code, Fault};

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What a full check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Files that were read, the manifest not counted.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a bundle is not what its manifest says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The content of a file was changed.
    #[error("{file} has the sha256 {found}, its manifest says {expected}")]
    DigestMismatch {
        /// The file, relative to the bundle's folder.
        file: String,
        /// The hash of what lies there.
        found: String,
        /// The hash by the manifest.
        expected: String,
    },
    /// The folder is named by a digest that is not its manifest's.
    #[error("the folder is named {folder_name}, but the digest of its manifest is {digest}")]
    NameMismatch {
        /// Name of the folder.
        folder_name: String,
        /// sha256 of its manifest.
        digest: String,
    },
    /// The file system failed.
    #[error("{file} cannot be read")]
    Io {
        /// The file, relative to the bundle's folder.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

crate::codes!(VerifyError {
    Self::DigestMismatch { .. } => Code::new(
        "bundle.digest_mismatch",
        Fault::Start,
        "The content of a file differs from the manifest. Copy the bundle again.",
    ),
    Self::NameMismatch { .. } => Code::new(
        "bundle.name_mismatch",
        Fault::Start,
        "The folder is named by the digest of another manifest.",
    ),
    Self::Io { .. } => Code::new(
        "bundle.unreadable",
        Fault::Start,
        "A file of the bundle cannot be read or mapped.",
    ),
});

impl Bundle {
    /// Reads every file and compares its sha256 with the manifest; `progress` hears the bytes
    /// read since its last call.
    ///
    /// # Errors
    /// - [`VerifyError::NameMismatch`] if the folder's name is a digest, but not this bundle's.
    /// - [`VerifyError::DigestMismatch`] if the content of a file was changed.
    /// - [`VerifyError::Io`] if a file cannot be read.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
        self.verify_name()?;
        let mut verified = Verified { files: 0, bytes: 0 };
        for file in self.manifest.files.iter() {
            let found = self
                .hash(file, &mut progress)
                .map_err(|source| VerifyError::Io { file: file.path.clone(), source })?;
            if found != file.sha256 {
                return Err(VerifyError::DigestMismatch {
                    file: file.path.clone(),
                    found,
                    expected: file.sha256.clone(),
                });
            }
            verified.files += 1;
            verified.bytes += file.size_bytes;
        }
        Ok(verified)
    }

    fn verify_name(&self) -> Result<(), VerifyError> {
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        match name {
            Some(name)
                if name.len() == 64
                    && name.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && name != self.digest =>
            {
                Err(VerifyError::NameMismatch { folder_name: name, digest: self.digest.clone() })
            }
            _ => Ok(()),
        }
    }

    fn hash(&self, file: &BundleFile, progress: &mut impl FnMut(u64)) -> io::Result<String> {
        let mut reader = File::open(self.path_of(file))?;
        let mut sha256 = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match reader.read(&mut chunk)? {
                0 => return Ok(hex(&sha256.finalize())),
                read => {
                    sha256.update(&chunk[..read]);
                    progress(read as u64);
                }
            }
        }
    }
}
