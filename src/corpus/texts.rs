//! The file `texts.bin`: ids and texts of a segment.
//!
//! The id and the text of each row follow each other, UTF-8. After padding to 8 bytes come
//! `2 * rows + 1` bounds (u64, little-endian): the id of row `i` lies between bounds `2i` and `2i + 1`,
//! its text between `2i + 1` and `2i + 2`. A reader checks the bounds of a row when it reads the row.

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::CorpusError;
use crate::bundle::map::Mmap;

/// Name of the file.
pub(crate) const TEXTS_FILE: &str = "texts.bin";

/// Writes the file.
pub(crate) struct TextsWriter<W> {
    to: W,
    bounds: Vec<u64>,
}

impl<W: Write> TextsWriter<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, bounds: vec![0] }
    }

    pub(crate) fn push(&mut self, id: &str, text: &str) -> io::Result<()> {
        for part in [id, text] {
            self.to.write_all(part.as_bytes())?;
            let end = self.bounds.last().copied().unwrap_or(0) + part.len() as u64;
            self.bounds.push(end);
        }
        Ok(())
    }

    /// Writes the bounds and returns the output.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let end = self.bounds.last().copied().unwrap_or(0);
        let padding = end.next_multiple_of(8) - end;
        self.to.write_all(&[0; 8][..padding as usize])?;
        for bound in self.bounds {
            self.to.write_all(&bound.to_le_bytes())?;
        }
        Ok(self.to)
    }
}

/// The mapped file.
#[derive(Debug)]
pub(crate) struct Texts {
    path: PathBuf,
    map: Mmap,
    rows: usize,
    /// Where the bounds start.
    bounds: usize,
}

impl Texts {
    pub(crate) fn new(path: PathBuf, map: Mmap, rows: usize) -> Result<Self, CorpusError> {
        let table = rows.checked_mul(2).and_then(|n| n.checked_add(1)?.checked_mul(8));
        match table.and_then(|table| map.len().checked_sub(table)) {
            Some(bounds) if bounds % 8 == 0 => Ok(Self { path, map, rows, bounds }),
            _ => Err(CorpusError::damaged(&path, "there is no room for the bounds of its rows")),
        }
    }

    /// The id of a row.
    pub(crate) fn id(&self, row: usize) -> Result<&str, CorpusError> {
        self.part(row.saturating_mul(2))
    }

    /// The text of a row.
    pub(crate) fn text(&self, row: usize) -> Result<&str, CorpusError> {
        self.part(row.saturating_mul(2).saturating_add(1))
    }

    /// Where the file has the bounds of a row.
    pub(crate) fn bounds_of(&self, row: usize) -> Range<usize> {
        let start = self.bounds.saturating_add(row.saturating_mul(16));
        start..start.saturating_add(24)
    }

    /// Where the file has the id and the text of a row, whose bounds this reads. None if there is no such row.
    pub(crate) fn bytes_of(&self, row: usize) -> Option<Range<usize>> {
        let index = row.saturating_mul(2);
        let (start, end) = self.bound(index).zip(self.bound(index.saturating_add(2)))?;
        Some(start..end.min(self.bounds))
    }

    /// The mapped file.
    pub(crate) fn map(&self) -> &Mmap {
        &self.map
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the parts fill the file.
    pub(crate) fn check(&self) -> Result<(), CorpusError> {
        let ends = (self.bound(0), self.bound(2 * self.rows));
        match ends {
            (Some(0), Some(end)) if end.next_multiple_of(8) == self.bounds => Ok(()),
            _ => Err(CorpusError::damaged(&self.path, "its texts do not fill it")),
        }
    }

    fn part(&self, index: usize) -> Result<&str, CorpusError> {
        if index / 2 >= self.rows {
            let reason = format!("there is no row {}", index / 2);
            return Err(CorpusError::damaged(&self.path, reason));
        }
        let part = self.bound(index).zip(self.bound(index + 1)).and_then(|(start, end)| {
            (start <= end && end <= self.bounds).then(|| self.map.get(start..end))?
        });
        let Some(part) = part else {
            let reason = format!("the bounds of row {} are invalid", index / 2);
            return Err(CorpusError::damaged(&self.path, reason));
        };
        std::str::from_utf8(part).map_err(|_| {
            CorpusError::damaged(&self.path, format!("row {} is not UTF-8", index / 2))
        })
    }

    fn bound(&self, index: usize) -> Option<usize> {
        let bytes = self.map.get(self.bounds + 8 * index..)?.first_chunk::<8>()?;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    }
}
