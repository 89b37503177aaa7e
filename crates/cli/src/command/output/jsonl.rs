//! JSON Lines.

use std::io::{self, Write};

use serde::Serialize;

use super::{Row, RowWriter};

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    text_index: u64,
    embedding: &'a [f32],
    tokens: usize,
    truncated: bool,
}

/// Writes one JSON object per line.
pub(super) struct JsonLinesWriter<W: Write> {
    out: W,
}

impl<W: Write> JsonLinesWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> RowWriter for JsonLinesWriter<W> {
    fn start(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        let &Row { text_index, embedding, tokens, truncated } = row;
        let line = Line { text_index, embedding, tokens, truncated };
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }

    fn flush(&mut self, _: u64) -> io::Result<()> {
        self.out.flush()
    }
}
