//! Comma-separated values. No field needs quotes.

use std::io::{self, Write};

use super::{Row, RowWriter};

/// Writes a header and one line for each row, with one column for each dimension.
pub(super) struct CsvWriter<W: Write> {
    out: W,
    dimensions: usize,
}

impl<W: Write> CsvWriter<W> {
    pub(super) fn new(out: W, dimensions: usize) -> Self {
        Self { out, dimensions }
    }
}

impl<W: Write> RowWriter for CsvWriter<W> {
    fn start(&mut self) -> io::Result<()> {
        write!(self.out, "text_index,tokens,truncated")?;
        (0..self.dimensions)
            .try_for_each(|dimension| write!(self.out, ",embedding_{dimension}"))?;
        writeln!(self.out)
    }

    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        write!(self.out, "{},{},{}", row.text_index, row.tokens, row.truncated)?;
        // The shortest decimal number that reads as the same f32.
        row.embedding.iter().try_for_each(|element| write!(self.out, ",{element}"))?;
        writeln!(self.out)
    }

    fn flush(&mut self, _: u64) -> io::Result<()> {
        self.out.flush()
    }
}
