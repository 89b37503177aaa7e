//! The rules for a row.

use std::collections::HashSet;

use super::error::RowFault;
use super::index::Row;
use super::value::Value;
use super::{MAX_COLUMN_BYTES, MAX_COLUMNS, MAX_ID_BYTES};

/// Checks the id and the metadata of a row.
pub(crate) fn check_row(row: &Row) -> Result<(), RowFault> {
    let bytes = row.id.len();
    if !(1..=MAX_ID_BYTES).contains(&bytes) || row.id.chars().any(char::is_control) {
        return Err(RowFault::BadId { bytes });
    }
    let mut names = HashSet::with_capacity(row.metadata.len());
    for (name, value) in &row.metadata {
        let bytes = name.len();
        if !(1..=MAX_COLUMN_BYTES).contains(&bytes) || name.starts_with('$') {
            return Err(RowFault::BadColumn { bytes });
        }
        if matches!(value, Value::Number(number) if !number.is_finite()) {
            return Err(RowFault::NotFinite);
        }
        if !names.insert(name) {
            return Err(RowFault::RepeatedColumn);
        }
    }
    match row.metadata.len() {
        0..=MAX_COLUMNS => Ok(()),
        _ => Err(RowFault::TooManyColumns { limit: MAX_COLUMNS }),
    }
}
