//! The input of the command `embed`: records of a text file, a JSON Lines file or a CSV file.

pub(super) mod csv;
pub(super) mod lines;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use semblance_api::{Field, Kind, Limits, RequestError, TextFault, parse_json};
use serde_json::Value;

use super::limited::limited;
use crate::arguments::{EmbedArguments, InputFormat};
use crate::error::{CommandError, Location};

use csv::{CsvRecord, CsvRecords};
use lines::{Consumed, MAX_LINE_BYTES, RawLine, is_utf16, read_line, without_mark};

pub(crate) use lines::Position;

/// The name of the field with the text, unless there is `--field`.
const DEFAULT_FIELD: &str = "text";

/// Records of a file or of standard input.
pub(super) struct Input {
    path: String,
    reader: Box<dyn BufRead>,
    format: Format,
    limits: Limits,
    no_truncate: bool,
    total_bytes: Option<u64>,
    consumed: Consumed,
}

enum Format {
    Text,
    JsonLines { field: &'static str },
    Csv { records: Box<CsvRecords>, field: &'static str, column: usize },
}

/// The text of a record.
pub(super) struct InputText {
    pub(super) text: String,
    /// Whether the end of the text was removed, because it exceeds the size limit.
    pub(super) is_cut: bool,
}

/// A record: a line of text, a JSON line, or a record of a CSV file.
pub(super) struct Record {
    /// The line it starts on, from 1.
    pub(super) line: u64,
    /// Its text, or the reason why it has none.
    pub(super) text: Result<InputText, CommandError>,
}

impl Input {
    /// Opens the input of a command. Reads the header of a CSV file.
    pub(super) fn open(arguments: &EmbedArguments, limits: &Limits) -> Result<Self, CommandError> {
        let file = arguments.file.as_path();
        let path = file.display().to_string();
        let read = |source| CommandError::Read { path: path.clone(), source };
        let (mut reader, total_bytes): (Box<dyn BufRead>, _) = if file == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let opened = File::open(file).map_err(read)?;
            let metadata = opened.metadata().map_err(read)?;
            let total_bytes = metadata.is_file().then_some(metadata.len());
            (Box::new(BufReader::with_capacity(1 << 16, opened)), total_bytes)
        };
        let start = reader.fill_buf().map_err(read)?;
        if is_utf16(start) {
            return Err(CommandError::Utf16 { path });
        }
        // The errors of the API have names of fields that live as long as the process.
        let field = match &arguments.field {
            Some(field) => &*field.clone().leak(),
            None => DEFAULT_FIELD,
        };
        let mut input = Self {
            path,
            reader,
            format: Format::Text,
            limits: *limits,
            no_truncate: arguments.no_truncate,
            total_bytes,
            consumed: Consumed::default(),
        };
        input.format = match arguments.input_format() {
            InputFormat::Text => Format::Text,
            InputFormat::Jsonl => Format::JsonLines { field },
            InputFormat::Csv => input.csv(field, arguments.csv_delimiter())?,
        };
        Ok(input)
    }

    /// Size of the input, if it is a file.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Number of bytes of the records so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.consumed.bytes
    }

    /// Number of records so far.
    pub(super) fn records(&self) -> u64 {
        self.consumed.records
    }

    /// The position after the last record.
    pub(super) fn position(&self) -> Position {
        self.consumed.position()
    }

    /// Skips to a position of an earlier run.
    ///
    /// # Errors
    /// - [`CommandError::InputChanged`] if the bytes before the position are different ones.
    pub(super) fn skip_to(&mut self, position: &Position) -> Result<(), CommandError> {
        let changed = |path: &str| CommandError::InputChanged {
            path: path.to_owned(),
            lines: position.lines,
        };
        // A run that starts at the beginning has already read the header of a CSV file.
        if *position == Position::default() {
            return Ok(());
        }
        while self.consumed.bytes < position.bytes {
            let Some(line) = self.read()? else { return Err(changed(&self.path)) };
            self.consumed.add(&line);
        }
        self.consumed.records = position.records;
        match self.consumed.position() == *position {
            true => Ok(()),
            false => Err(changed(&self.path)),
        }
    }

    /// Returns the next record; `None` at the end of the input.
    pub(super) fn next(&mut self) -> Result<Option<Record>, CommandError> {
        let is_first = self.consumed.lines == 0;
        let Some(line) = self.next_line()? else { return Ok(None) };
        let number = self.consumed.lines + 1;
        let text = if line.is_too_long() {
            let (bytes, limit_bytes) = (line.size_bytes, MAX_LINE_BYTES);
            self.consumed.add(&line);
            Err(CommandError::LineTooLong { line: number, bytes, limit_bytes })
        } else {
            match &self.format {
                Format::Text => {
                    self.consumed.add(&line);
                    utf8(without_mark(line.content(), is_first), number)
                }
                Format::JsonLines { field } => {
                    self.consumed.add(&line);
                    json_text(without_mark(line.content(), is_first), field, number)
                }
                Format::Csv { .. } => self.csv_text(line, number)?,
            }
        };
        self.consumed.records += 1;
        let text = text.and_then(|text| self.checked(text, number));
        Ok(Some(Record { line: number, text }))
    }

    fn checked(&self, mut text: String, number: u64) -> Result<InputText, CommandError> {
        let invalid = |fault| CommandError::Text { location: Location::Line(number), fault };
        if text.trim().is_empty() {
            return Err(invalid(TextFault::Empty));
        }
        let (kept, is_cut) = limited(&text, &self.limits, self.no_truncate).map_err(invalid)?;
        let kept_bytes = kept.len();
        text.truncate(kept_bytes);
        Ok(InputText { text, is_cut })
    }

    /// Reads the header of a CSV file.
    fn csv(&mut self, field: &'static str, delimiter: u8) -> Result<Format, CommandError> {
        let mut records = Box::new(CsvRecords::new(delimiter));
        let Some(mut header) = self.read()? else {
            // A file without a header has no records either.
            return Ok(Format::Csv { records, field, column: 0 });
        };
        let with_mark = RawLine { bytes: header.bytes.clone(), size_bytes: header.size_bytes };
        header.bytes = without_mark(&header.bytes, true).to_vec();
        let mut read = || read_line(&mut *self.reader);
        let parsed = records.record(header, &mut read);
        let (record, mut lines) =
            parsed.map_err(|source| CommandError::Read { path: self.path.clone(), source })?;
        lines[0] = with_mark;
        lines.iter().for_each(|line| self.consumed.add(line));
        let columns: Vec<String> = match record {
            CsvRecord::Fields(fields) => {
                fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
            }
            CsvRecord::UnclosedQuote => return Err(CommandError::UnclosedQuote { line: 1 }),
        };
        match columns.iter().position(|name| name == field) {
            Some(column) => Ok(Format::Csv { records, field, column }),
            None => Err(CommandError::MissingColumn { path: self.path.clone(), field, columns }),
        }
    }

    /// Returns the text of the CSV record that starts with a line.
    fn csv_text(
        &mut self,
        line: RawLine,
        number: u64,
    ) -> Result<Result<String, CommandError>, CommandError> {
        let Format::Csv { records, field, column } = &mut self.format else {
            return Ok(utf8(line.content(), number));
        };
        // The parser skips blank lines.
        if line.content().is_empty() {
            self.consumed.add(&line);
            return Ok(Ok(String::new()));
        }
        let mut read = || read_line(&mut *self.reader);
        let parsed = records.record(line, &mut read);
        let (record, lines) =
            parsed.map_err(|source| CommandError::Read { path: self.path.clone(), source })?;
        lines.iter().for_each(|line| self.consumed.add(line));
        Ok(match record {
            CsvRecord::UnclosedQuote => Err(CommandError::UnclosedQuote { line: number }),
            CsvRecord::Fields(mut fields) if *column < fields.len() => {
                utf8(&fields.swap_remove(*column), number)
            }
            CsvRecord::Fields(fields) => Err(CommandError::MissingCsvField {
                line: number,
                field,
                column: *column + 1,
                fields: fields.len(),
            }),
        })
    }

    fn next_line(&mut self) -> Result<Option<RawLine>, CommandError> {
        let mut read = || read_line(&mut *self.reader);
        let line = match &mut self.format {
            Format::Csv { records, .. } => records.next_line(&mut read),
            Format::Text | Format::JsonLines { .. } => read(),
        };
        line.map_err(|source| CommandError::Read { path: self.path.clone(), source })
    }

    fn read(&mut self) -> Result<Option<RawLine>, CommandError> {
        let line = read_line(&mut *self.reader);
        line.map_err(|source| CommandError::Read { path: self.path.clone(), source })
    }
}

fn utf8(bytes: &[u8], line: u64) -> Result<String, CommandError> {
    let text = std::str::from_utf8(bytes).map_err(|error| CommandError::Text {
        location: Location::Line(line),
        fault: TextFault::NotUtf8 { offset_bytes: error.valid_up_to() },
    })?;
    Ok(text.to_owned())
}

/// Returns the text in a JSON line: an object with the field.
fn json_text(bytes: &[u8], name: &'static str, line: u64) -> Result<String, CommandError> {
    let text = utf8(bytes, line)?;
    let fault = if text.trim().is_empty() {
        let fault = TextFault::Empty;
        return Err(CommandError::Text { location: Location::Line(line), fault });
    } else {
        match parse_json(text.as_bytes()) {
            Err(error) => error,
            Ok(Value::Object(mut object)) => match object.remove(name) {
                Some(Value::String(text)) => return Ok(text),
                None => RequestError::MissingField { field: Field::new(name) },
                Some(other) => RequestError::WrongType {
                    field: Field::new(name),
                    expected: "a string",
                    found: Kind::from(&other),
                },
            },
            Ok(other) => RequestError::NotAnObject { found: Kind::from(&other) },
        }
    };
    Err(CommandError::Line { line, source: fault })
}
