//! Rows of fixed size: the working file of a format that cannot be extended after an interruption.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use super::{Row, RowWriter};

/// Writes rows: number, tokens and flag, then the embedding, all little-endian.
pub(super) struct RowsWriter {
    out: BufWriter<File>,
}

impl RowsWriter {
    pub(super) fn new(file: File) -> Self {
        Self { out: BufWriter::new(file) }
    }
}

impl RowWriter for RowsWriter {
    fn start(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.out.write_all(&row.text_index.to_le_bytes())?;
        self.out.write_all(&(row.tokens as u64).to_le_bytes())?;
        self.out.write_all(&[u8::from(row.truncated)])?;
        row.embedding.iter().try_for_each(|element| self.out.write_all(&element.to_le_bytes()))
    }

    fn flush(&mut self, _: u64) -> io::Result<()> {
        self.out.flush()
    }
}

/// Columns of several rows.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) text_index: Vec<i64>,
    pub(super) tokens: Vec<i32>,
    pub(super) truncated: Vec<bool>,
    /// `[rows, dim]`, f32.
    pub(super) embedding: Vec<f32>,
}

/// Reads the rows of a file.
pub(super) struct RowsReader {
    reader: BufReader<File>,
    rows: u64,
    dimensions: usize,
}

impl RowsReader {
    pub(super) fn open(path: &Path, dimensions: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let row_bytes = 8 + 8 + 1 + size_of::<f32>() * dimensions;
        let rows = file.metadata()?.len() / row_bytes as u64;
        Ok(Self { reader: BufReader::new(file), rows, dimensions })
    }

    /// Returns up to `count` rows; `None` after the last one.
    pub(super) fn next(&mut self, count: u64) -> io::Result<Option<Columns>> {
        let count = count.min(self.rows);
        self.rows -= count;
        let mut columns = Columns::default();
        for _ in 0..count {
            let index = i64::from_le_bytes(self.bytes()?);
            let tokens = u64::from_le_bytes(self.bytes()?);
            columns.text_index.push(index);
            columns.tokens.push(i32::try_from(tokens).unwrap_or(i32::MAX));
            columns.truncated.push(self.bytes::<1>()? == [1]);
            for _ in 0..self.dimensions {
                columns.embedding.push(f32::from_le_bytes(self.bytes()?));
            }
        }
        Ok((count > 0).then_some(columns))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
