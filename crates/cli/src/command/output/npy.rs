//! A NumPy array, version 1.0 of the format.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

use super::{Row, RowWriter};

/// Size of the header in bytes. The number of rows can grow without moving the data.
const HEADER_BYTES: usize = 128;

/// Bytes before the description of the array: magic string, version and length.
const PREFIX: &[u8; 8] = b"\x93NUMPY\x01\x00";

/// Writes `[records, dim]`, f32. The row of a skipped record is NaN.
pub(super) struct NpyWriter {
    out: BufWriter<File>,
    dimensions: usize,
    /// Rows that were written.
    records: u64,
}

impl NpyWriter {
    /// Returns a writer. The file already has `records` rows.
    pub(super) fn new(file: File, dimensions: usize, records: u64) -> Self {
        Self { out: BufWriter::new(file), dimensions, records }
    }

    fn skip_to(&mut self, records: u64) -> io::Result<()> {
        while self.records < records {
            for _ in 0..self.dimensions {
                self.out.write_all(&f32::NAN.to_le_bytes())?;
            }
            self.records += 1;
        }
        Ok(())
    }
}

/// Returns the header of an array.
fn header(records: u64, dimensions: usize) -> Vec<u8> {
    let description =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({records}, {dimensions}), }}");
    let length = HEADER_BYTES - PREFIX.len() - 2;
    let mut header = PREFIX.to_vec();
    header.extend_from_slice(&(length as u16).to_le_bytes());
    header.extend_from_slice(format!("{description:<width$}\n", width = length - 1).as_bytes());
    header
}

impl RowWriter for NpyWriter {
    fn start(&mut self) -> io::Result<()> {
        self.out.write_all(&header(0, self.dimensions))
    }

    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.skip_to(row.text_index)?;
        for element in row.embedding {
            self.out.write_all(&element.to_le_bytes())?;
        }
        self.records += 1;
        Ok(())
    }

    fn flush(&mut self, records: u64) -> io::Result<()> {
        self.skip_to(records)?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.records, self.dimensions))?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_same_size_for_every_shape() {
        for (records, dimensions) in [(0, 1), (7, 384), (u64::MAX, 100_000)] {
            let header = header(records, dimensions);
            assert_eq!((header.len(), header.last()), (HEADER_BYTES, Some(&b'\n')));
        }
    }
}
