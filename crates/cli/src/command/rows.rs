//! Rows of a corpus from a file: an id, a text and metadata.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use semblance::Code;
use semblance::corpus::{Row, RowFault, Value};
use semblance_api::{
    Kind, Limits, RequestError, TextFault, check_text, metadata_from_json, parse_json,
};
use serde_json::Value as Json;

use crate::arguments::{RowArguments, RowFormat};
use crate::error::CommandError;

/// Why a row of a file is invalid. Messages do not contain the row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// It is not a JSON object.
    #[error(transparent)]
    Json(#[from] RequestError),
    /// It is not a record of the CSV file.
    #[error("not a record of the CSV file: {reason}")]
    Csv {
        /// The reason.
        reason: String,
    },
    /// It has no value in a column.
    #[error("the column {column:?} is missing or null")]
    Missing {
        /// The column.
        column: String,
    },
    /// A value has the wrong type.
    #[error("the column {column:?} must be {expected}, found {found}")]
    Type {
        /// The column.
        column: String,
        /// The expected type.
        expected: &'static str,
        /// The type found.
        found: Kind,
    },
    /// The text is invalid.
    #[error("the text {0}")]
    Text(TextFault),
    /// The row violates a rule of the index.
    #[error(transparent)]
    Row(#[from] RowFault),
}

semblance::codes!(RowError {
    Self::Csv { .. } | Self::Missing { .. } | Self::Type { .. } => Code::new(
        "input.bad_row",
        semblance::Fault::Command,
        "A row of the input is invalid. The message has the line and the column.",
    ),
} else {
    Self::Json(error) => error.code(),
    Self::Text(fault) => fault.code(),
    Self::Row(fault) => fault.code(),
});

/// A row or the reason why it is refused, with its line.
pub(super) type Line = (u64, Result<Row, RowError>);

/// Reads the rows of a file.
pub(super) struct Rows<'a> {
    arguments: &'a RowArguments,
    limits: &'a Limits,
    path: String,
    total_bytes: Option<u64>,
    read_bytes: u64,
    format: Format,
}

enum Format {
    Jsonl { reader: Box<dyn BufRead>, line: u64 },
    Csv { reader: Box<csv::Reader<Box<dyn Read>>>, header: Vec<String> },
}

impl<'a> Rows<'a> {
    pub(super) fn open(
        arguments: &'a RowArguments,
        limits: &'a Limits,
    ) -> Result<Self, CommandError> {
        let path = arguments.file.display().to_string();
        let fail = |source| CommandError::Read { path: path.clone(), source };
        let (reader, total_bytes): (Box<dyn Read>, _) = if arguments.file == Path::new("-") {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(&arguments.file).map_err(fail)?;
            let metadata = file.metadata().map_err(fail)?;
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        let extension = arguments.file.extension().and_then(|extension| extension.to_str());
        let by_name = if extension == Some("csv") { RowFormat::Csv } else { RowFormat::Jsonl };
        let format = match arguments.format.unwrap_or(by_name) {
            RowFormat::Jsonl => Format::Jsonl { reader: Box::new(BufReader::new(reader)), line: 0 },
            RowFormat::Csv => {
                let mut reader = csv::ReaderBuilder::new().from_reader(reader);
                let header = reader.headers().map_err(|error| csv_failure(&path, error))?;
                let header = header.iter().map(str::to_owned).collect();
                Format::Csv { reader: Box::new(reader), header }
            }
        };
        Ok(Self { arguments, limits, path, total_bytes, read_bytes: 0, format })
    }

    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Returns the next row, or none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Line>, CommandError> {
        match &mut self.format {
            Format::Jsonl { reader, line } => {
                let mut bytes = Vec::new();
                let read = reader
                    .read_until(b'\n', &mut bytes)
                    .map_err(|source| CommandError::Read { path: self.path.clone(), source })?;
                if read == 0 {
                    return Ok(None);
                }
                *line += 1;
                self.read_bytes += read as u64;
                let line = *line;
                let values = json_values(&bytes);
                Ok(Some((line, values.and_then(|values| self.row(line, values)))))
            }
            Format::Csv { reader, header } => {
                let mut record = csv::StringRecord::new();
                let read = reader.read_record(&mut record);
                self.read_bytes = reader.position().byte();
                let line = record.position().map_or(0, csv::Position::line);
                match read {
                    Ok(false) => Ok(None),
                    Ok(true) => {
                        let values = header.iter().zip(&record);
                        let values =
                            values.map(|(name, value)| (name.clone(), csv_value(value))).collect();
                        Ok(Some((line, self.row(line, values))))
                    }
                    Err(error) if error.is_io_error() => Err(csv_failure(&self.path, error)),
                    Err(error) => {
                        let line = error.position().map_or(line, csv::Position::line);
                        let reason = csv_reason(&error);
                        Ok(Some((line, Err(RowError::Csv { reason }))))
                    }
                }
            }
        }
    }

    fn row(&self, line: u64, values: Vec<(String, Json)>) -> Result<Row, RowError> {
        let RowArguments { id_column, text_column, column, line_ids, .. } = self.arguments;
        let (mut id, mut text, mut metadata) = (None, None, Vec::new());
        if *line_ids {
            id = Some(line.to_string());
        }
        for (name, value) in values {
            if name == *text_column {
                text = match value {
                    Json::String(value) => Some(value),
                    Json::Null => None,
                    // In a CSV file a text can look like a number.
                    Json::Number(_) | Json::Bool(_) if self.is_csv() => Some(csv_text(&value)),
                    other => return Err(wrong_type(&name, "a string", &other)),
                };
            } else if name == *id_column && !line_ids {
                id = match value {
                    Json::String(value) => Some(value),
                    Json::Number(number) if number.is_i64() || number.is_u64() => {
                        Some(number.to_string())
                    }
                    Json::Null => None,
                    other if self.is_csv() => Some(csv_text(&other)),
                    other => return Err(wrong_type(&name, "a string or an integer", &other)),
                };
            } else if column.is_empty() || column.contains(&name) {
                let expected = "a string, a number, a boolean or null";
                let Some(value) = metadata_from_json(&value) else {
                    return Err(wrong_type(&name, expected, &value));
                };
                if value != Value::Null {
                    metadata.push((name, value));
                }
            }
        }
        let missing = |column: &String| RowError::Missing { column: column.clone() };
        let id = id.ok_or_else(|| missing(id_column))?;
        let text = text.ok_or_else(|| missing(text_column))?;
        check_text(&text, self.limits).map_err(RowError::Text)?;
        Ok(Row { id, text, metadata })
    }

    fn is_csv(&self) -> bool {
        matches!(self.format, Format::Csv { .. })
    }
}

fn json_values(bytes: &[u8]) -> Result<Vec<(String, Json)>, RowError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(RowError::Text(TextFault::NotUtf8 { offset_bytes: error.valid_up_to() }));
    }
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

fn csv_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn wrong_type(column: &str, expected: &'static str, found: &Json) -> RowError {
    RowError::Type { column: column.to_owned(), expected, found: Kind::from(found) }
}

fn csv_reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields; the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it cannot be parsed".to_owned(),
    }
}

fn csv_failure(path: &str, error: csv::Error) -> CommandError {
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        _ => io::Error::new(io::ErrorKind::InvalidData, "the header is not UTF-8"),
    };
    CommandError::Read { path: path.to_owned(), source }
}
