//! The file `columns.bin`: metadata of a segment.
//!
//! Each column is a dictionary. For every row it has a code (u32, little-endian, padded to 8 bytes):
//! 0 for null, else the number of a value, from 1. Then `distinct + 1` bounds (u64) and the values,
//! padded to 8 bytes. A filter is decided once for each distinct value.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::CorpusError;
use super::value::{Value, ValueRef};
use crate::bundle::map::{self, Mmap};

/// Name of the file.
pub(crate) const COLUMNS_FILE: &str = "columns.bin";

/// A column in the manifest of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Number of distinct values, without null.
    pub(crate) distinct: u32,
    /// Size of the values in bytes.
    pub(crate) value_bytes: u64,
}

impl Column {
    /// Size in the file, or none if it is too large to be real.
    fn size(&self, rows: usize) -> Option<usize> {
        let codes = rows.checked_mul(4)?.checked_next_multiple_of(8)?;
        let bounds = (self.distinct as usize).checked_add(1)?.checked_mul(8)?;
        let values = usize::try_from(self.value_bytes).ok()?.checked_next_multiple_of(8)?;
        codes.checked_add(bounds)?.checked_add(values)
    }
}

/// Collects the metadata of a segment.
#[derive(Default)]
pub(crate) struct ColumnsWriter {
    columns: BTreeMap<String, Dictionary>,
    rows: usize,
}

#[derive(Default)]
struct Dictionary {
    codes: Vec<u32>,
    known: HashMap<Vec<u8>, u32>,
    bounds: Vec<u64>,
    values: Vec<u8>,
}

impl ColumnsWriter {
    /// Number of columns with these names added.
    pub(crate) fn count_with(&self, metadata: &[(String, Value)]) -> usize {
        let new = metadata.iter().filter(|(name, _)| !self.columns.contains_key(name));
        self.columns.len() + new.count()
    }

    pub(crate) fn push(&mut self, metadata: &[(String, Value)]) {
        for (name, value) in metadata {
            if *value == Value::Null {
                continue;
            }
            let column = self.columns.entry(name.clone()).or_default();
            column.codes.resize(self.rows, 0);
            let mut bytes = Vec::new();
            value.as_ref().encode(&mut bytes);
            let next = column.known.len() as u32 + 1;
            let code = *column.known.entry(bytes).or_insert_with_key(|bytes| {
                column.values.extend(bytes);
                column.bounds.push(column.values.len() as u64);
                next
            });
            column.codes.push(code);
        }
        self.rows += 1;
    }

    /// Returns the content of the file, and the columns for the manifest.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<Column>) {
        let (mut bytes, mut columns) = (Vec::new(), Vec::new());
        for (name, mut column) in self.columns {
            column.codes.resize(self.rows, 0);
            bytes.extend(column.codes.iter().flat_map(|code| code.to_le_bytes()));
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            let bounds = std::iter::once(&0).chain(&column.bounds);
            bytes.extend(bounds.flat_map(|bound| bound.to_le_bytes()));
            bytes.extend(&column.values);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            let (distinct, value_bytes) = (column.known.len() as u32, column.values.len() as u64);
            columns.push(Column { name, distinct, value_bytes });
        }
        (bytes, columns)
    }
}

/// Returns the size of the file, or none if it is too large to be real.
pub(crate) fn file_bytes(columns: &[Column], rows: usize) -> Option<usize> {
    columns.iter().try_fold(0usize, |sum, column| sum.checked_add(column.size(rows)?))
}

/// The mapped file.
#[derive(Debug)]
pub(crate) struct Columns {
    path: PathBuf,
    /// None if there are no columns: an empty file cannot be mapped.
    map: Option<Mmap>,
    columns: Vec<Column>,
    rows: usize,
}

impl Columns {
    /// Returns the columns. The size of the file must have been checked with [`file_bytes`].
    pub(crate) fn new(path: PathBuf, map: Option<Mmap>, columns: Vec<Column>, rows: usize) -> Self {
        Self { path, map, columns, rows }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Returns the column of this name, all of which is read now.
    pub(crate) fn get(&self, name: &str) -> Option<ColumnView<'_>> {
        let index = self.columns.iter().position(|column| column.name == name)?;
        let start = file_bytes(&self.columns[..index], self.rows)?;
        map::request(self.map.as_ref()?, start..start + self.columns[index].size(self.rows)?);
        self.view(index)
    }

    /// Where the file has the codes of a row.
    pub(crate) fn codes_of(&self, row: usize) -> impl Iterator<Item = Range<usize>> {
        self.places(move |view| view.codes.get(row).map(|code| code.as_slice()))
    }

    /// Where the file has the bounds of the values of a row, whose codes this reads.
    pub(crate) fn bounds_of(&self, row: usize) -> impl Iterator<Item = Range<usize>> {
        self.places(move |view| {
            let index = (view.code(row) as usize).checked_sub(1)?;
            Some(view.bounds.get(index..index + 2)?.as_flattened())
        })
    }

    /// Where the file has the values of a row, whose bounds this reads.
    pub(crate) fn values_of(&self, row: usize) -> impl Iterator<Item = Range<usize>> {
        self.places(move |view| view.bytes(view.code(row)))
    }

    fn places<'a>(
        &'a self,
        part: impl Fn(ColumnView<'a>) -> Option<&'a [u8]>,
    ) -> impl Iterator<Item = Range<usize>> {
        let start = self.map.as_ref().map_or(0, |map| map.as_ptr().addr());
        (0..self.columns.len()).filter_map(move |index| {
            let part = part(self.view(index)?)?;
            let at = part.as_ptr().addr() - start;
            Some(at..at + part.len())
        })
    }

    /// The mapped file, or none if there are no columns.
    pub(crate) fn map(&self) -> Option<&Mmap> {
        self.map.as_ref()
    }

    /// The metadata of a row, without nulls.
    pub(crate) fn row(&self, row: usize) -> Result<Vec<(String, Value)>, CorpusError> {
        let mut values = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let view = self.view(index).ok_or_else(|| self.damaged(column))?;
            match view.value(view.code(row)) {
                Some(ValueRef::Null) => {}
                Some(value) => values.push((column.name.clone(), value.to_owned())),
                None => return Err(self.damaged(column)),
            }
        }
        Ok(values)
    }

    /// Checks every value and every code.
    pub(crate) fn check(&self) -> Result<(), CorpusError> {
        for (index, column) in self.columns.iter().enumerate() {
            let view = self.view(index).ok_or_else(|| self.damaged(column))?;
            let values = (0..=column.distinct).all(|code| view.value(code).is_some());
            let codes = (0..self.rows).all(|row| view.code(row) <= column.distinct);
            if !(values && codes) {
                return Err(self.damaged(column));
            }
        }
        Ok(())
    }

    fn damaged(&self, column: &Column) -> CorpusError {
        CorpusError::damaged(&self.path, format!("the column {:?} is invalid", column.name))
    }

    fn view(&self, index: usize) -> Option<ColumnView<'_>> {
        let start = file_bytes(&self.columns[..index], self.rows)?;
        let column = &self.columns[index];
        let bytes = self.map.as_ref()?.get(start..)?.get(..column.size(self.rows)?)?;
        let (codes, rest) = bytes.split_at((self.rows * 4).next_multiple_of(8));
        let (bounds, values) = rest.split_at((column.distinct as usize + 1) * 8);
        let values = values.get(..usize::try_from(column.value_bytes).ok()?)?;
        Some(ColumnView { codes: codes.as_chunks().0, bounds: bounds.as_chunks().0, values })
    }
}

/// One column.
#[derive(Clone, Copy)]
pub(crate) struct ColumnView<'a> {
    codes: &'a [[u8; 4]],
    bounds: &'a [[u8; 8]],
    values: &'a [u8],
}

impl<'a> ColumnView<'a> {
    pub(crate) fn code(&self, row: usize) -> u32 {
        self.codes.get(row).map_or(0, |code| u32::from_le_bytes(*code))
    }

    /// Number of codes, that of null included.
    pub(crate) fn codes(&self) -> usize {
        self.bounds.len()
    }

    /// Returns the value of a code, or none if the file is damaged.
    pub(crate) fn value(&self, code: u32) -> Option<ValueRef<'a>> {
        if code == 0 { Some(ValueRef::Null) } else { ValueRef::decode(self.bytes(code)?) }
    }

    /// Returns the bytes of the value of a code, or none if it is null or the file is damaged.
    fn bytes(&self, code: u32) -> Option<&'a [u8]> {
        let index = (code as usize).checked_sub(1)?;
        let bound =
            |index: usize| usize::try_from(u64::from_le_bytes(*self.bounds.get(index)?)).ok();
        self.values.get(bound(index)?..bound(index + 1)?)
    }
}
