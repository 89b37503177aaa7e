//! Reads rows, some at a time, from columns that are not nested.

use std::fs::File;
use std::io;
use std::path::Path;

use parquet::basic::LogicalType;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;
use serde_json::Value as Json;

use super::failed;
use super::values::{self, Form};
use crate::command::rows::{RowError, Values};
use crate::error::CommandError;

/// Rows that are decoded together.
const BATCH_ROWS: usize = 1_024;

/// A value, or the reason why the row is refused.
type Cell = Result<Json, RowError>;

/// The rows of a file.
pub(in crate::command) struct ParquetRows {
    path: String,
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// Number of row groups that were opened.
    groups: usize,
    readers: Vec<ColumnReader>,
    /// The cells of each column, the next row last.
    batch: Vec<Vec<Cell>>,
    rows: u64,
    total_rows: u64,
}

struct Column {
    name: String,
    /// Its number among the columns of the file.
    number: usize,
    form: Form,
    /// The level of a value that is present.
    defined: i16,
}

impl ParquetRows {
    /// Opens a file. `is_wanted` says which columns are read.
    pub(in crate::command) fn open(
        path: &Path,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, CommandError> {
        let path = path.display().to_string();
        let fail = |source| CommandError::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(fail)?;
        let file = SerializedFileReader::new(file).map_err(|error| fail(failed(error)))?;
        let metadata = file.metadata().file_metadata();
        let total_rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let mut columns = Vec::new();
        for (number, column) in metadata.schema_descr().columns().iter().enumerate() {
            let parts = column.path().parts();
            let Some(name) = parts.first().filter(|name| is_wanted(name)) else { continue };
            let unsupported = |found: &str| CommandError::UnsupportedColumn {
                path: path.clone(),
                column: name.clone(),
                found: found.to_owned(),
            };
            if parts.len() > 1 || column.max_rep_level() > 0 {
                return Err(unsupported("is nested"));
            }
            let form = Form::of(column).ok_or_else(|| unsupported(&kind(column)))?;
            let (name, defined) = (name.clone(), column.max_def_level());
            columns.push(Column { name, number, form, defined });
        }
        let (readers, batch) = (Vec::new(), Vec::new());
        Ok(Self { path, file, columns, groups: 0, readers, batch, rows: 0, total_rows })
    }

    /// The names of the columns that are read.
    pub(in crate::command) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Number of rows that were returned, and of all rows.
    pub(in crate::command) fn position(&self) -> (u64, u64) {
        (self.rows, self.total_rows)
    }

    /// Returns the values of the next row, or none at the end of the file.
    pub(in crate::command) fn next(&mut self) -> Result<Option<Values>, CommandError> {
        // Without a column there are still rows, which have no text.
        if self.columns.is_empty() && self.rows < self.total_rows {
            self.rows += 1;
            return Ok(Some(Ok(Vec::new())));
        }
        while self.batch.first().is_none_or(Vec::is_empty) {
            if !self.read_batch().map_err(|error| self.error(failed(error)))? {
                return Ok(None);
            }
        }
        self.rows += 1;
        // Every column goes on to the next row, also if the row is refused.
        let cells = self.batch.iter_mut().map(|cells| cells.pop().unwrap_or(Ok(Json::Null)));
        let cells: Vec<Cell> = cells.collect();
        let named = cells.into_iter().zip(&self.columns);
        Ok(Some(named.map(|(cell, column)| Ok((column.name.clone(), cell?))).collect()))
    }

    /// Reads a batch of every column. Returns whether there was another one.
    fn read_batch(&mut self) -> Result<bool, ParquetError> {
        if self.readers.is_empty() {
            if self.groups == self.file.num_row_groups() || self.columns.is_empty() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.groups)?;
            self.groups += 1;
            let open = |column: &Column| group.get_column_reader(column.number);
            self.readers = self.columns.iter().map(open).collect::<Result<_, _>>()?;
        }
        let columns = self.readers.iter_mut().zip(&self.columns);
        self.batch =
            columns.map(|(reader, column)| cells(reader, column)).collect::<Result<_, _>>()?;
        let rows = self.batch.first().map_or(0, Vec::len);
        if self.batch.iter().any(|cells| cells.len() != rows) {
            let reason = "its columns have different numbers of rows".to_owned();
            return Err(ParquetError::General(reason));
        }
        if rows == 0 {
            self.readers.clear();
        }
        Ok(true)
    }

    fn error(&self, source: io::Error) -> CommandError {
        CommandError::Read { path: self.path.clone(), source }
    }
}

/// Returns the next cells of a column, in reverse.
fn cells(reader: &mut ColumnReader, column: &Column) -> Result<Vec<Cell>, ParquetError> {
    let form = column.form;
    let mut cells = match reader {
        ColumnReader::BoolColumnReader(reader) => read(reader, column, |value| Ok(value.into())),
        ColumnReader::Int32ColumnReader(reader) => {
            read(reader, column, |value| Ok(values::from_i32(form, value)))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            read(reader, column, |value| Ok(values::from_i64(form, value)))
        }
        ColumnReader::Int96ColumnReader(reader) => {
            read(reader, column, |value| Ok(values::from_i64(form, value.to_micros())))
        }
        ColumnReader::FloatColumnReader(reader) => {
            read(reader, column, |value| values::from_f64(value.into()))
        }
        ColumnReader::DoubleColumnReader(reader) => read(reader, column, values::from_f64),
        ColumnReader::ByteArrayColumnReader(reader) => {
            read(reader, column, |value| values::from_bytes(value.data()))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            read(reader, column, |value| values::from_bytes(value.data()))
        }
    }?;
    cells.reverse();
    Ok(cells)
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    column: &Column,
    cell: impl Fn(T::T) -> Cell,
) -> Result<Vec<Cell>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    reader.read_records(BATCH_ROWS, Some(&mut levels), None, &mut values)?;
    if column.defined == 0 {
        return Ok(values.into_iter().map(cell).collect());
    }
    let mut values = values.into_iter();
    let cells = levels.iter().map(|&level| match level == column.defined {
        true => values.next().map_or(Ok(Json::Null), &cell),
        false => Ok(Json::Null),
    });
    Ok(cells.collect())
}

/// Names the type of a column in a message.
fn kind(column: &ColumnDescPtr) -> String {
    match column.logical_type_ref() {
        Some(LogicalType::Decimal(_)) => "has decimals".to_owned(),
        Some(LogicalType::Time(_)) => "has times of day".to_owned(),
        _ => format!("has values of the type {}", column.physical_type()),
    }
}
