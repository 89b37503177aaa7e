//! The folder of unfinished work of an index. One writer at a time has it.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::CorpusError;
use super::files::{create_folder, entries, name_of, remove, write_whole};
use super::index::STAGING;
use super::lock::{LOCK_FILE, Lock, try_lock};
use super::manifest::VectorSource;
use crate::bundle::{hex, map};

/// Name of the folder of vectors that are embedded and not published.
const SHARDS: &str = "shards";

/// The folder, locked.
#[derive(Debug)]
pub(crate) struct Staging {
    folder: PathBuf,
    _lock: Lock,
}

impl Staging {
    /// Locks the folder of an index. Of what an interrupted run left, only embedded vectors are kept.
    pub(crate) fn take(index: &Path) -> Result<Self, CorpusError> {
        let folder = index.join(STAGING);
        create_folder(&folder)?;
        let locked = || CorpusError::Locked { folder: index.display().to_string() };
        let lock = try_lock(&folder)?.ok_or_else(locked)?;
        for entry in entries(&folder)? {
            if !matches!(name_of(&entry), Some(LOCK_FILE | SHARDS)) {
                remove(&entry)?;
            }
        }
        for entry in entries(&folder.join(SHARDS))? {
            if name_of(&entry).is_none_or(|name| name.ends_with(".tmp")) {
                remove(&entry)?;
            }
        }
        Ok(Self { folder, _lock: lock })
    }

    /// The file of the input lines.
    pub(crate) fn lines(&self) -> PathBuf {
        self.folder.join("lines")
    }

    /// The folder of a segment that is being written.
    pub(crate) fn segment(&self, number: usize) -> PathBuf {
        self.folder.join(format!("segment-{number}"))
    }

    /// Returns the vectors of texts, `[texts, dim]`, if they were saved.
    pub(crate) fn saved(
        &self,
        source: &VectorSource,
        texts: &[&str],
    ) -> Result<Option<Vec<f32>>, CorpusError> {
        let path = self.shard(source, texts);
        match fs::read(&path) {
            Ok(bytes) if bytes.len() == texts.len() * source.dimensions * 4 => {
                let (values, _) = bytes.as_chunks::<4>();
                Ok(Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect()))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CorpusError::io(&path, error)),
        }
    }

    /// Saves the vectors of texts, `[texts, dim]`.
    pub(crate) fn save(
        &self,
        source: &VectorSource,
        texts: &[&str],
        vectors: &[f32],
    ) -> Result<(), CorpusError> {
        create_folder(&self.folder.join(SHARDS))?;
        write_whole(&self.shard(source, texts), map::bytes(vectors))
    }

    /// The file of the vectors of texts. Its name is a digest of all that decides them.
    fn shard(&self, source: &VectorSource, texts: &[&str]) -> PathBuf {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(source.bundle_digest.as_bytes());
        part(source.prompt_name.as_deref().unwrap_or("\0").as_bytes());
        texts.iter().for_each(|text| part(text.as_bytes()));
        self.folder.join(SHARDS).join(hex(&hash.finalize()))
    }

    /// Removes everything but the lock.
    pub(crate) fn clear(&self) -> Result<(), CorpusError> {
        for entry in entries(&self.folder)? {
            if name_of(&entry) != Some(LOCK_FILE) {
                remove(&entry)?;
            }
        }
        Ok(())
    }
}
