//! Verifies every byte of the current version of an index.

use super::error::CorpusError;
use super::files::digest;
use super::index::Index;

/// The result of a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexVerification {
    /// Number of files that were read.
    pub files: usize,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Number of live rows.
    pub rows: usize,
}

impl Index {
    /// Reads every file of this version and compares its sha256 with the manifest; checks all texts,
    /// ids, metadata and vectors. `progress` is called with the number of bytes read since its last call.
    ///
    /// # Errors
    /// - [`CorpusError::Damaged`] if a file is damaged.
    /// - [`CorpusError::Io`] if a file cannot be read.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<IndexVerification, CorpusError> {
        let mut verified = IndexVerification { rows: self.len(), ..IndexVerification::default() };
        for (number, part) in self.parts.iter().enumerate() {
            let segment = &part.segment;
            for (name, file) in &segment.manifest.files {
                let path = segment.folder.join(name);
                let (size, sha256) = digest(&path)?;
                if (size, &sha256) != (file.size_bytes, &file.sha256) {
                    return Err(CorpusError::damaged(&path, "its sha256 is not the declared one"));
                }
                verified.files += 1;
                verified.bytes += size;
                progress(size);
            }
            segment.texts.check()?;
            segment.columns.check()?;
            segment.check_values()?;
            for row in 0..segment.rows {
                let id = segment.texts.id(row)?;
                segment.texts.text(row)?;
                if !segment.find(id)?.contains(&row) {
                    let reason = format!("row {row} cannot be found by its id");
                    return Err(CorpusError::damaged(segment.texts.path(), reason));
                }
                if !part.live.contains(row) {
                    continue;
                }
                for (other, earlier) in self.parts[..=number].iter().enumerate() {
                    let rows = earlier.segment.find(id)?;
                    let is_other = |&found: &usize| {
                        earlier.live.contains(found) && (other, found) != (number, row)
                    };
                    if rows.iter().any(is_other) {
                        let reason = format!("the id of row {row} is that of another live row");
                        return Err(CorpusError::damaged(segment.texts.path(), reason));
                    }
                }
            }
        }
        Ok(verified)
    }
}
