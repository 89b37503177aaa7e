//! Rows of a corpus from a file: an id, a text and metadata.

mod lines;
mod names;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use semblance::Code;
use semblance::corpus::{Row, RowFault, Value};
use semblance_api::{Kind, Limits, RequestError, TextFault, check_text, metadata_from_json};
use serde_json::Value as Json;

use super::parquet::ParquetRows;
use crate::arguments::{RowFormat, RowOptions};
use crate::error::CommandError;

use lines::{LineForm, LineRows};
pub(super) use names::free_name;

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
    /// The line is too long.
    #[error("the line has {bytes} bytes; the limit is {limit_bytes}")]
    TooLong {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit_bytes: usize,
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
    Self::Csv { .. } | Self::TooLong { .. } | Self::Missing { .. } | Self::Type { .. } => {
        Code::new(
        "input.bad_row",
        semblance::Fault::Command,
        "A row of the input is invalid. The message has the line and the column.",
    )},
} else {
    Self::Json(error) => error.code(),
    Self::Text(fault) => fault.code(),
    Self::Row(fault) => fault.code(),
});

/// A row or the reason why it is refused, with its line. In a Parquet file, a row is a line.
pub(super) type Line = (u64, Result<Row, RowError>);

/// The values of a row by column, or the reason why the row is refused.
pub(super) type Values = Result<Vec<(String, Json)>, RowError>;

/// Reads the rows of a file.
pub(super) struct Rows<'a> {
    options: &'a RowOptions,
    limits: &'a Limits,
    total_bytes: Option<u64>,
    format: Format,
}

enum Format {
    Lines(Box<LineRows>),
    Parquet(Box<ParquetRows>),
}

impl<'a> Rows<'a> {
    pub(super) fn open(
        file: &Path,
        options: &'a RowOptions,
        limits: &'a Limits,
    ) -> Result<Self, CommandError> {
        let path = file.display().to_string();
        let fail = |source| CommandError::Read { path: path.clone(), source };
        let is_stdin = file == Path::new("-");
        let by_name = match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv" | "tsv") => RowFormat::Csv,
            Some("parquet") => RowFormat::Parquet,
            Some("txt") => RowFormat::Text,
            _ => RowFormat::Jsonl,
        };
        let is_tabbed = file.extension().is_some_and(|extension| extension == "tsv");
        let delimiter = if is_tabbed { b'\t' } else { b',' };
        let format = options.format.unwrap_or(by_name);
        if is_stdin && format == RowFormat::Parquet {
            let reason = "a Parquet file is read from its end, not from standard input";
            return Err(fail(io::Error::new(io::ErrorKind::Unsupported, reason)));
        }
        let (reader, total_bytes): (Box<dyn Read>, _) = if is_stdin {
            (Box::new(io::stdin()), None)
        } else {
            let opened = File::open(file).map_err(fail)?;
            let metadata = opened.metadata().map_err(fail)?;
            (Box::new(opened), metadata.is_file().then_some(metadata.len()))
        };
        let RowOptions { id_column, text_column, column, line_ids, .. } = options;
        let is_wanted = |name: &str| {
            let is_row = name == text_column || (name == id_column && !line_ids);
            is_row || column.is_empty() || column.iter().any(|column| column == name)
        };
        let format = match format {
            RowFormat::Parquet => {
                let rows = ParquetRows::open(file, is_wanted)?;
                check_names(rows.names(), &path)?;
                Format::Parquet(Box::new(rows))
            }
            format => {
                let form = match format {
                    RowFormat::Csv => LineForm::Csv { delimiter },
                    RowFormat::Text => LineForm::Text,
                    RowFormat::Jsonl | RowFormat::Parquet => LineForm::Json,
                };
                let rows = LineRows::open(path.clone(), reader, form)?;
                let names = rows.header().iter().map(String::as_str);
                check_names(names.filter(|name| is_wanted(name)), &path)?;
                Format::Lines(Box::new(rows))
            }
        };
        Ok(Self { options, limits, total_bytes, format })
    }

    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// How much of the file has been read; of a Parquet file, in proportion to its rows.
    pub(super) fn read_bytes(&self) -> u64 {
        match &self.format {
            Format::Lines(rows) => rows.read_bytes(),
            Format::Parquet(rows) => {
                let (read, all) = rows.position();
                let share = read as f64 / all.max(1) as f64;
                (self.total_bytes.unwrap_or(0) as f64 * share) as u64
            }
        }
    }

    /// Returns the next row, or none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Line>, CommandError> {
        let next = match &mut self.format {
            Format::Lines(rows) => rows.next()?,
            Format::Parquet(rows) => {
                let values = rows.next()?;
                values.map(|values| (rows.position().0, values))
            }
        };
        let row = |(line, values): (u64, Values)| {
            (line, values.and_then(|values| self.row(line, values)))
        };
        Ok(next.map(row))
    }

    fn row(&self, line: u64, values: Vec<(String, Json)>) -> Result<Row, RowError> {
        let RowOptions { id_column, text_column, column, line_ids, .. } = self.options;
        let (mut id, mut text, mut metadata) = (None, None, Vec::new());
        if *line_ids || self.is_text() {
            id = Some(line.to_string());
        }
        for (name, value) in values {
            if name == *text_column || self.is_text() {
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

    fn is_text(&self) -> bool {
        matches!(&self.format, Format::Lines(rows) if rows.is_text())
    }

    fn is_csv(&self) -> bool {
        matches!(&self.format, Format::Lines(rows) if rows.is_csv())
    }
}

/// Checks that no column occurs twice: it would be unclear which one a row has.
fn check_names<'a>(names: impl Iterator<Item = &'a str>, path: &str) -> Result<(), CommandError> {
    let mut known = HashSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(CommandError::UnsupportedColumn {
                path: path.to_owned(),
                column: name.to_owned(),
                found: "occurs twice".to_owned(),
            });
        }
    }
    Ok(())
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
