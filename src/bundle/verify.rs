//! Verifies the digests of every file of a bundle.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{Bundle, BundleFile, hex};
use crate::code::{Code, Fault};

/// Size of a read, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Number of files that were read, excluding the manifest.
    pub files: usize,
    /// Their total size in bytes.
    pub bytes: u64,
}

/// Why the verification of a bundle failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The content of a file differs from the manifest.
    #[error("{file} has the sha256 {found}; the manifest declares {expected}")]
    DigestMismatch {
        /// The file, relative to the bundle's folder.
        file: String,
        /// The sha256 of the file.
        found: String,
        /// The sha256 in the manifest.
        expected: String,
    },
    /// The name of the folder is a digest, but not the digest of its manifest.
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
        /// The error of the operating system.
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
        "The name of the folder is the digest of another manifest.",
    ),
    Self::Io { .. } => Code::BUNDLE_UNREADABLE,
});

impl Bundle {
    /// Reads every file and compares its sha256 with the manifest. `progress` is called with the
    /// number of bytes read since its last call.
    ///
    /// # Errors
    /// - [`VerifyError::NameMismatch`] if the folder's name is a digest, but not the bundle's.
    /// - [`VerifyError::DigestMismatch`] if the content of a file differs from the manifest.
    /// - [`VerifyError::Io`] if a file cannot be read.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<Verification, VerifyError> {
        self.verify_name()?;
        let mut verified = Verification { files: 0, bytes: 0 };
        for file in self.manifest.files.iter() {
            let found = self
                .sha256_of(file, &mut progress)
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

    /// Reads a file of the manifest, and returns its sha256. `progress` is called with the number of
    /// bytes read since its last call.
    ///
    /// # Errors
    /// The error of the operating system if the file cannot be read.
    pub fn sha256_of(
        &self,
        file: &BundleFile,
        mut progress: impl FnMut(u64),
    ) -> io::Result<String> {
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
