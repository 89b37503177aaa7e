//! Apache Parquet.
//!
//! Source of the list's layout: <https://parquet.apache.org/docs/file-format/types/logicaltypes/>.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::rows::RowsReader;
use crate::command::parquet::{column, failed};

/// Maximum size of the embeddings of one row group in bytes. One group is in memory at a time.
const GROUP_BYTES: u64 = 16 << 20;

const SCHEMA: &str = "
    message embeddings {
        required int64 text_index;
        required int32 tokens;
        required boolean truncated;
        required group embedding (LIST) {
            repeated group list {
                required float element;
            }
        }
    }";

/// Writes the rows of a file as Parquet.
pub(super) fn convert(rows: &Path, parquet: &Path, dimensions: usize) -> io::Result<()> {
    let mut rows = RowsReader::open(rows, dimensions)?;
    let group_rows = GROUP_BYTES / (size_of::<f32>() * dimensions.max(1)) as u64;
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(failed)?);
    let elements = ["embedding", "list", "element"].map(str::to_owned).to_vec();
    let properties = WriterProperties::builder()
        // The elements of embeddings hardly repeat, and do not compress.
        .set_compression(Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(ColumnPath::new(elements), false)
        .build();
    let file = BufWriter::new(File::create(parquet)?);
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
    while let Some(columns) = rows.next(group_rows.max(1))? {
        let mut group = writer.next_row_group().map_err(failed)?;
        column::<Int64Type>(&mut group, &columns.text_index, None, None).map_err(failed)?;
        column::<Int32Type>(&mut group, &columns.tokens, None, None).map_err(failed)?;
        column::<BoolType>(&mut group, &columns.truncated, None, None).map_err(failed)?;
        // Every element is defined. An element repeats the list unless it is the first of a row.
        let defined = vec![1; columns.embedding.len()];
        let repeated: Vec<i16> =
            (0..columns.embedding.len()).map(|i| i16::from(i % dimensions != 0)).collect();
        column::<FloatType>(&mut group, &columns.embedding, Some(&defined), Some(&repeated))
            .map_err(failed)?;
        group.close().map_err(failed)?;
    }
    let file = writer.into_inner().map_err(failed)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}
