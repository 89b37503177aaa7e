//! Rows of a file of lines: texts, JSON lines or comma-separated values.

use std::io::{BufRead, BufReader, Read};

use semblance_api::{Kind, RequestError, TextFault, parse_json};
use serde_json::Value as Json;

use super::{RowError, Values};
use crate::command::input::csv::{CsvRecord, CsvRecords};
use crate::command::input::lines::{MAX_LINE_BYTES, RawLine, is_utf16, read_line, without_mark};
use crate::error::CommandError;

/// The fields of a record, or the reason why the row is refused.
type Fields = Result<Vec<String>, RowError>;

/// The form of the lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineForm {
    /// Texts.
    Text,
    /// JSON objects.
    Json,
    /// Fields, with a header.
    Csv {
        /// The character between fields.
        delimiter: u8,
    },
}

/// The rows of a file.
pub(super) struct LineRows {
    path: String,
    reader: Box<dyn BufRead>,
    /// Whether a line is a text.
    is_text: bool,
    csv: Option<Csv>,
    lines: u64,
    bytes: u64,
}

struct Csv {
    records: CsvRecords,
    header: Vec<String>,
}

impl LineRows {
    /// Opens a file. Reads the header of a CSV file.
    pub(super) fn open(
        path: String,
        reader: Box<dyn Read>,
        form: LineForm,
    ) -> Result<Self, CommandError> {
        let mut reader = Box::new(BufReader::with_capacity(1 << 16, reader));
        let start = reader.fill_buf();
        let start = start.map_err(|source| CommandError::Read { path: path.clone(), source })?;
        if is_utf16(start) {
            return Err(CommandError::Utf16 { path });
        }
        let is_text = form == LineForm::Text;
        let mut rows = Self { path, reader, is_text, csv: None, lines: 0, bytes: 0 };
        if let LineForm::Csv { delimiter } = form {
            rows.csv = Some(Csv { records: CsvRecords::new(delimiter), header: Vec::new() });
            if let Some((_, header)) = rows.record()?
                && let Some(csv) = &mut rows.csv
            {
                let names = header.map_err(|source| CommandError::row(1, source))?;
                csv.header = names;
            }
        }
        Ok(rows)
    }

    /// The names of the columns of a CSV file.
    pub(super) fn header(&self) -> &[String] {
        self.csv.as_ref().map_or(&[], |csv| &csv.header)
    }

    /// Whether a line is a text, whose row has no named columns.
    pub(super) fn is_text(&self) -> bool {
        self.is_text
    }

    pub(super) fn is_csv(&self) -> bool {
        self.csv.is_some()
    }

    /// Number of bytes that have been read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the values of the next row and its line, or none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Values)>, CommandError> {
        if self.csv.is_some() {
            let Some((line, fields)) = self.record()? else { return Ok(None) };
            return Ok(Some((line, fields.and_then(|fields| self.named(fields)))));
        }
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            let content = without_mark(line.content(), self.lines == 1);
            let values = match checked(&line) {
                // A blank line is a text without tokens.
                Ok(()) if self.is_text => text_value(content),
                // A blank line has no row.
                Ok(()) if content.trim_ascii().is_empty() => continue,
                Ok(()) => json_values(content),
                Err(error) => Err(error),
            };
            return Ok(Some((self.lines, values)));
        }
    }

    /// Returns the fields of the next record that is not a blank line.
    fn record(&mut self) -> Result<Option<(u64, Fields)>, CommandError> {
        loop {
            let Some(mut first) = self.line()? else { return Ok(None) };
            let number = self.lines;
            if let Err(error) = checked(&first) {
                return Ok(Some((number, Err(error))));
            }
            first.bytes = without_mark(&first.bytes, number == 1).to_vec();
            if first.content().is_empty() {
                continue;
            }
            let Some(csv) = &mut self.csv else { return Ok(None) };
            let mut read = || read_line(&mut *self.reader);
            let record = csv.records.record(first, &mut read);
            let (record, lines) =
                record.map_err(|source| CommandError::Read { path: self.path.clone(), source })?;
            for line in &lines[1..] {
                self.lines += 1;
                self.bytes += line.size_bytes;
            }
            return Ok(Some((number, fields(record))));
        }
    }

    fn named(&self, fields: Vec<String>) -> Values {
        let header = self.header();
        if fields.len() != header.len() {
            let (found, expected) = (fields.len(), header.len());
            let reason = format!("it has {found} fields; the header has {expected}");
            return Err(RowError::Csv { reason });
        }
        let values = header.iter().zip(&fields);
        Ok(values.map(|(name, field)| (name.clone(), csv_value(field))).collect())
    }

    fn line(&mut self) -> Result<Option<RawLine>, CommandError> {
        let mut read = || read_line(&mut *self.reader);
        let line = match &mut self.csv {
            Some(csv) => csv.records.next_line(&mut read),
            None => read(),
        };
        let line = line.map_err(|source| CommandError::Read { path: self.path.clone(), source })?;
        if let Some(line) = &line {
            self.lines += 1;
            self.bytes += line.size_bytes;
        }
        Ok(line)
    }
}

fn checked(line: &RawLine) -> Result<(), RowError> {
    match line.is_too_long() {
        true => Err(RowError::TooLong { bytes: line.size_bytes, limit_bytes: MAX_LINE_BYTES }),
        false => Ok(()),
    }
}

fn fields(record: CsvRecord) -> Fields {
    let CsvRecord::Fields(fields) = record else {
        let reason = "a quoted field has no closing quote".to_owned();
        return Err(RowError::Csv { reason });
    };
    let text = |field: Vec<u8>| {
        String::from_utf8(field).map_err(|_| RowError::Csv { reason: "it is not UTF-8".to_owned() })
    };
    fields.into_iter().map(text).collect()
}

/// Returns the text of a line, in a column without a name.
fn text_value(bytes: &[u8]) -> Values {
    Ok(vec![(String::new(), utf8(bytes)?.into())])
}

fn utf8(bytes: &[u8]) -> Result<&str, RowError> {
    std::str::from_utf8(bytes)
        .map_err(|error| RowError::Text(TextFault::NotUtf8 { offset_bytes: error.valid_up_to() }))
}

fn json_values(bytes: &[u8]) -> Values {
    utf8(bytes)?;
    match parse_json(bytes)? {
        Json::Object(fields) => Ok(fields.into_iter().collect()),
        other => Err(RequestError::NotAnObject { found: Kind::from(&other) }.into()),
    }
}

/// Returns the value that a field of a CSV file is written as: an integer, a number, a boolean, null for
/// an empty field, else a string. A number is recognized only if printing it gives the same field.
fn csv_value(field: &str) -> Json {
    let same = |json: Json| {
        let printed = json.to_string();
        (printed == field).then_some(json)
    };
    match field {
        "" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        _ => {
            let integer = field.parse::<i64>().ok().map(Json::from).and_then(same);
            let number = || {
                let number = field.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(Json::from).and_then(same)
            };
            integer.or_else(number).unwrap_or_else(|| Json::from(field))
        }
    }
}
