//! The output of the command `embed`: rows in input order, in one of several formats.

mod csv;
mod jsonl;
mod npy;
mod parquet;
mod rows;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::arguments::OutputFormat;
use crate::error::CommandError;

use csv::CsvWriter;
use jsonl::JsonLinesWriter;
use npy::NpyWriter;
use rows::RowsWriter;

/// The embedding of a text.
pub(super) struct Row<'a> {
    /// Number of the record in the input, from 0.
    pub(super) text_index: u64,
    /// `[dim]`, f32.
    pub(super) embedding: &'a [f32],
    /// Number of tokens before truncation, special tokens included.
    pub(super) tokens: usize,
    /// Whether the text was truncated.
    pub(super) truncated: bool,
}

/// A writer of one format.
trait RowWriter {
    /// Writes what comes before the first row.
    fn start(&mut self) -> io::Result<()>;

    /// Writes a row. Their numbers increase.
    fn write(&mut self, row: &Row<'_>) -> io::Result<()>;

    /// Writes what is buffered. The file then has `records` records, skipped ones included.
    fn flush(&mut self, records: u64) -> io::Result<()>;
}

/// The output of a command.
pub(super) struct Output<'a> {
    writer: Box<dyn RowWriter + 'a>,
    file: Option<OutputFile>,
}

struct OutputFile {
    /// The file that `writer` writes.
    working: PathBuf,
    handle: File,
    /// The file of the user, and the size of a row, if `working` has to be converted.
    converted: Option<(PathBuf, usize)>,
}

impl<'a> Output<'a> {
    /// Returns an output that writes to a stream.
    pub(super) fn to_stream(
        format: OutputFormat,
        dimensions: usize,
        out: &'a mut dyn Write,
    ) -> Result<Self, CommandError> {
        let mut writer: Box<dyn RowWriter + 'a> = match format {
            OutputFormat::Csv => Box::new(CsvWriter::new(out, dimensions)),
            _ => Box::new(JsonLinesWriter::new(out)),
        };
        writer.start()?;
        Ok(Self { writer, file: None })
    }

    /// Opens a file: an empty one, or one with the first `resumed` bytes and records of an
    /// interrupted run.
    pub(super) fn to_file(
        format: OutputFormat,
        dimensions: usize,
        path: &Path,
        resumed: Option<(u64, u64)>,
    ) -> Result<Self, CommandError> {
        let working = match format {
            OutputFormat::Parquet => with_suffix(path, ".rows"),
            _ => path.to_path_buf(),
        };
        let (bytes, records) = resumed.unwrap_or_default();
        let opened = open(&working, bytes);
        let handle = opened.map_err(|source| unwritable(&working, source))?;
        let file = handle.try_clone().map_err(|source| unwritable(&working, source))?;
        let writer: Box<dyn RowWriter> = match format {
            OutputFormat::Jsonl => Box::new(JsonLinesWriter::new(BufWriter::new(file))),
            OutputFormat::Csv => Box::new(CsvWriter::new(BufWriter::new(file), dimensions)),
            OutputFormat::Npy => Box::new(NpyWriter::new(file, dimensions, records)),
            OutputFormat::Parquet => Box::new(RowsWriter::new(file)),
        };
        let converted = (working != path).then(|| (path.to_path_buf(), dimensions));
        let mut output = Self { writer, file: Some(OutputFile { working, handle, converted }) };
        if bytes == 0 {
            let started = output.writer.start();
            started.map_err(|source| output.error(source))?;
        }
        Ok(output)
    }

    /// Writes a row.
    pub(super) fn write(&mut self, row: &Row<'_>) -> Result<(), CommandError> {
        let written = self.writer.write(row);
        written.map_err(|source| self.error(source))
    }

    /// Writes what is buffered to the disk. Returns the size of the file, if it is one.
    pub(super) fn flush(&mut self, records: u64) -> Result<u64, CommandError> {
        let flushed = self.writer.flush(records).and_then(|()| match &mut self.file {
            Some(file) => {
                file.handle.sync_data()?;
                file.handle.metadata().map(|metadata| metadata.len())
            }
            None => Ok(0),
        });
        flushed.map_err(|source| self.error(source))
    }

    /// Completes the output. `records` is the number of records of the input so far.
    pub(super) fn finish(&mut self, records: u64) -> Result<(), CommandError> {
        self.flush(records)?;
        if let Some(OutputFile { working, converted: Some((path, dimensions)), .. }) = &self.file {
            let partial = with_suffix(path, ".partial");
            parquet::convert(working, &partial, *dimensions)
                .and_then(|()| std::fs::rename(&partial, path))
                .map_err(|source| unwritable(path, source))?;
        }
        Ok(())
    }

    /// Deletes the file that was converted, if there is one.
    pub(super) fn clean(self) -> Result<(), CommandError> {
        match self.file {
            Some(OutputFile { working, converted: Some(_), .. }) => {
                std::fs::remove_file(&working).map_err(|source| unwritable(&working, source))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, source: io::Error) -> CommandError {
        match &self.file {
            Some(file) => unwritable(&file.working, source),
            None => CommandError::Write(source),
        }
    }
}

/// Opens a file for writing after its first `bytes` bytes. The rest is deleted.
fn open(path: &Path, bytes: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let found_bytes = file.metadata()?.len();
    if found_bytes < bytes {
        let reason = format!("it has {found_bytes} bytes; the interrupted run wrote {bytes}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn unwritable(path: &Path, source: io::Error) -> CommandError {
    let path = path.display().to_string();
    match source.kind() {
        io::ErrorKind::InvalidData => {
            CommandError::InvalidState { path, reason: source.to_string() }
        }
        _ => CommandError::WriteFile { path, source },
    }
}

/// Returns the path with this at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
