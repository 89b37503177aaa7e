//! The input lines of the rows of a run.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::error::CorpusError;

/// The lines, on disk: a large input has many.
#[derive(Debug)]
pub(crate) struct LineLog {
    path: PathBuf,
    file: File,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    rows: u64,
}

impl LineLog {
    pub(crate) fn new(path: PathBuf) -> Result<Self, CorpusError> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| CorpusError::io(&path, error))?;
        Ok(Self { path, file, buffer: Vec::new(), rows: 0 })
    }

    pub(crate) fn push(&mut self, line: u64) -> Result<u64, CorpusError> {
        self.buffer.extend(line.to_le_bytes());
        self.rows += 1;
        if self.buffer.len() >= 1 << 16 {
            self.write()?;
        }
        Ok(self.rows - 1)
    }

    pub(crate) fn get(&mut self, row: u64) -> Result<u64, CorpusError> {
        self.write()?;
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, row * 8)
            .map_err(|error| CorpusError::io(&self.path, error))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&mut self) -> Result<(), CorpusError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| CorpusError::io(&self.path, error))
    }
}
