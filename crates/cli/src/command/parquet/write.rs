//! Writes the rows of a segment: the columns `id` and `text`, and one for each column of metadata.

use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use semblance::corpus::{Row, RowsFile, SegmentRows, Value};
use semblance_api::metadata_to_json;

use super::{column, failed};
use crate::command::rows::free_name;

/// Maximum number of rows of a row group, and of bytes of their texts. One group is in memory at a time.
const GROUP_ROWS: usize = 65_536;
const GROUP_BYTES: usize = 16 << 20;

/// The largest integer up to which every integer is a number of 64 bits: 2^53.
const EXACT: u64 = 1 << 53;

/// Returns the writer of the file `rows.parquet` of a segment.
pub(in crate::command) fn rows_file() -> RowsFile {
    RowsFile::new(|file, rows| write(file, rows).map_err(failed))
}

/// A column of metadata.
struct Metadata {
    /// Its name in the index.
    name: String,
    /// Its name in the file.
    title: String,
    kind: Kind,
}

/// The type of a column. Values of several kinds become text.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
}

impl Kind {
    fn of(values: impl Iterator<Item = Value>) -> Self {
        let kind = |value: Value| match value {
            Value::Boolean(_) => Self::Boolean,
            Value::Integer(_) => Self::Integer,
            Value::Number(_) => Self::Number,
            Value::Null | Value::Text(_) => Self::Text,
        };
        let mut is_exact = true;
        let kinds = values.map(|value| {
            is_exact &= !matches!(value, Value::Integer(integer) if integer.unsigned_abs() > EXACT);
            kind(value)
        });
        let kinds: Vec<Self> = kinds.fold(Vec::new(), |mut kinds, kind| {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            kinds
        });
        match kinds.as_slice() {
            [kind] => *kind,
            [Self::Integer, Self::Number] | [Self::Number, Self::Integer] if is_exact => {
                Self::Number
            }
            _ => Self::Text,
        }
    }
}

fn write(file: &File, rows: &SegmentRows<'_>) -> Result<(), ParquetError> {
    let names: Vec<&str> = rows.columns().collect();
    let metadata: Vec<Metadata> = names
        .iter()
        .map(|name| {
            let taken = |title: &str| ["id", "text"].contains(&title) || names.contains(&title);
            let title = match ["id", "text"].contains(name) {
                true => free_name(name, taken),
                false => (*name).to_owned(),
            };
            Metadata { name: (*name).to_owned(), title, kind: Kind::of(rows.values(name)) }
        })
        .collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = SerializedFileWriter::new(
        BufWriter::new(file),
        Arc::new(schema(&metadata)?),
        Arc::new(properties),
    )?;
    let mut next = 0;
    while next < rows.count() {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while next < rows.count() && group.len() < GROUP_ROWS && bytes < GROUP_BYTES {
            let row = rows.row(next).map_err(|error| ParquetError::External(error.into()))?;
            bytes += row.id.len() + row.text.len();
            group.push(row);
            next += 1;
        }
        let mut out = writer.next_row_group()?;
        write_group(&mut out, &group, &metadata)?;
        out.close()?;
    }
    writer.close()?;
    Ok(())
}

fn schema(metadata: &[Metadata]) -> Result<Type, ParquetError> {
    let field = |name: &str, kind: Kind, repetition: Repetition| {
        let (physical, logical) = match kind {
            Kind::Boolean => (PhysicalType::BOOLEAN, None),
            Kind::Integer => (PhysicalType::INT64, None),
            Kind::Number => (PhysicalType::DOUBLE, None),
            Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let builder = Type::primitive_type_builder(name, physical);
        builder.with_repetition(repetition).with_logical_type(logical).build().map(Arc::new)
    };
    let required = ["id", "text"].map(|name| field(name, Kind::Text, Repetition::REQUIRED));
    let optional =
        metadata.iter().map(|column| field(&column.title, column.kind, Repetition::OPTIONAL));
    let fields: Vec<TypePtr> = required.into_iter().chain(optional).collect::<Result<_, _>>()?;
    Type::group_type_builder("rows").with_fields(fields).build()
}

type Group<'a, 'f> = SerializedRowGroupWriter<'a, BufWriter<&'f File>>;

fn write_group(
    out: &mut Group<'_, '_>,
    rows: &[Row],
    metadata: &[Metadata],
) -> Result<(), ParquetError> {
    for part in [|row: &Row| row.id.as_str().into(), |row: &Row| row.text.as_str().into()] {
        let values: Vec<ByteArray> = rows.iter().map(part).collect();
        column::<ByteArrayType>(out, &values, None, None)?;
    }
    for Metadata { name, kind, .. } in metadata {
        let values = rows.iter().map(|row| {
            let index = row.metadata.binary_search_by(|(known, _)| known.cmp(name)).ok()?;
            row.metadata.get(index).map(|(_, value)| value)
        });
        match kind {
            Kind::Boolean => optional::<BoolType>(out, values, |value| match value {
                Value::Boolean(value) => *value,
                _ => false,
            })?,
            Kind::Integer => optional::<Int64Type>(out, values, |value| match value {
                Value::Integer(value) => *value,
                _ => 0,
            })?,
            Kind::Number => optional::<DoubleType>(out, values, |value| match value {
                Value::Integer(value) => *value as f64,
                Value::Number(value) => *value,
                _ => 0.0,
            })?,
            Kind::Text => optional::<ByteArrayType>(out, values, |value| match value {
                Value::Text(value) => value.as_str().into(),
                other => metadata_to_json(other).to_string().into_bytes().into(),
            })?,
        }
    }
    Ok(())
}

/// Writes a column of which values can be missing.
fn optional<'v, T: DataType>(
    out: &mut Group<'_, '_>,
    values: impl Iterator<Item = Option<&'v Value>>,
    typed: impl Fn(&Value) -> T::T,
) -> Result<(), ParquetError> {
    let (mut defined, mut present) = (Vec::new(), Vec::new());
    for value in values {
        defined.push(i16::from(value.is_some()));
        present.extend(value.map(&typed));
    }
    column::<T>(out, &present, Some(&defined), None)
}
