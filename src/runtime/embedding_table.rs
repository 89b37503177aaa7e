//! The embedding table: one row per token id, read from the memory map.

use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use crate::bundle::{Bundle, BundleError, Precision, map, missing_or_io};

/// The word embeddings of a bundle, `[vocabulary, embedding]`, mapped and not read ahead: a text needs
/// a few rows of the table's megabytes.
#[derive(Debug)]
pub struct EmbeddingTable {
    map: Mmap,
    precision: Precision,
    embedding_size: usize,
    row_bytes: usize,
    /// One bit a row: whether it was asked for before.
    asked_for: Vec<AtomicU64>,
}

/// A token id has no row in the embedding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token id {id} has no word embedding: the table has {rows} rows")]
pub struct UnknownToken {
    /// The id.
    pub id: i32,
    /// Rows of the table.
    pub rows: usize,
}

impl EmbeddingTable {
    /// Maps the embedding table of a bundle, without reading it.
    ///
    /// # Errors
    /// - [`BundleError::Io`] if the file cannot be mapped.
    pub fn open(bundle: &Bundle) -> Result<Self, BundleError> {
        let manifest = bundle.manifest();
        let file = &manifest.files.words;
        map::map_sparsely(&bundle.path_of(file))
            .map(|map| Self::new(map, manifest.precision, manifest.embedding_size()))
            .map_err(|error| missing_or_io(bundle.folder(), &file.path, error))
    }

    /// Returns the table over a map that holds whole rows of `embedding_size` values.
    fn new(map: Mmap, precision: Precision, embedding_size: usize) -> Self {
        let row_bytes = precision.row_bytes(embedding_size);
        let words = (map.len() / row_bytes).div_ceil(64);
        let asked_for = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        Self { map, precision, embedding_size, row_bytes, asked_for }
    }

    /// Number format of the table and of the weights.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Width of a row.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        self.embedding_size
    }

    /// Rows of the table.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.map.len() / self.row_bytes
    }

    /// Asks the system for the rows of these tokens that were never asked for, all at once: on a
    /// network file system each would else be waited for on its own.
    ///
    /// Only speed depends on it, so what cannot be asked for is left to
    /// [`copy_row`](Self::copy_row).
    pub fn read_ahead(&self, ids: impl IntoIterator<Item = i32>) {
        let rows = 0..self.rows();
        let indices = ids.into_iter().filter_map(|id| usize::try_from(id).ok());
        for index in indices.filter(|index| rows.contains(index)) {
            let (word, bit) = (index / 64, 1 << (index % 64));
            if self.asked_for[word].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                let start = index * self.row_bytes;
                let _ = map::will_need(&self.map, start..start + self.row_bytes);
            }
        }
    }

    /// Copies the embedding of a token to `row`, `[embedding]`, f32.
    ///
    /// # Errors
    /// - [`UnknownToken`] if the table has no such row.
    ///
    /// # Panics
    /// If `row` is not [`embedding_size`](Self::embedding_size) long.
    pub fn copy_row(&self, id: i32, row: &mut [f32]) -> Result<(), UnknownToken> {
        assert_eq!(row.len(), self.embedding_size(), "one value a feature");
        let unknown = UnknownToken { id, rows: self.rows() };
        let index = usize::try_from(id).map_err(|_| unknown)?;
        let start = index.checked_mul(self.row_bytes).ok_or(unknown)?;
        let bytes = self.map.get(start..start + self.row_bytes).ok_or(unknown)?;
        let (floats, _) = bytes.as_chunks();
        match (self.precision, floats) {
            (Precision::Int8, &[scale, ..]) => {
                let scale = f32::from_le_bytes(scale);
                for (to, &value) in row.iter_mut().zip(&bytes[size_of::<f32>()..]) {
                    *to = scale * f32::from(value.cast_signed());
                }
            }
            _ => {
                for (to, &value) in row.iter_mut().zip(floats) {
                    *to = f32::from_le_bytes(value);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::bundle::map;

    fn table_of(bytes: &[u8], precision: Precision) -> EmbeddingTable {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.words");
        fs::write(&file, bytes).unwrap();
        EmbeddingTable::new(map::map(&file).unwrap(), precision, 2)
    }

    fn table(rows: &[[f32; 2]]) -> EmbeddingTable {
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        table_of(&bytes, Precision::Fp32)
    }

    #[test]
    fn a_row_in_int8_is_its_values_times_its_scale() {
        let mut bytes = 0.5f32.to_le_bytes().to_vec();
        bytes.extend([3, 0x81]);
        bytes.extend(0.25f32.to_le_bytes());
        bytes.extend([0xff, 127]);
        let table = table_of(&bytes, Precision::Int8);
        let mut row = [0.0; 2];
        table.copy_row(0, &mut row).unwrap();
        assert_eq!(row, [1.5, -63.5]);
        table.copy_row(1, &mut row).unwrap();
        assert_eq!((row, table.rows()), ([-0.25, 31.75], 2));
    }

    #[test]
    fn a_row_is_the_one_of_its_id() {
        let table = table(&[[1.0, 2.0], [-3.5, f32::MIN_POSITIVE]]);
        let mut row = [0.0; 2];
        table.copy_row(1, &mut row).unwrap();
        assert_eq!(row, [-3.5, f32::MIN_POSITIVE]);
        assert_eq!((table.rows(), table.embedding_size()), (2, 2));
    }

    #[test]
    fn an_id_outside_the_table_is_refused_and_not_read_elsewhere() {
        let table = table(&[[1.0, 2.0], [3.0, 4.0]]);
        for id in [-1, 2, i32::MIN, i32::MAX] {
            table.read_ahead([id]);
            let error = table.copy_row(id, &mut [0.0; 2]).unwrap_err();
            assert_eq!(error, UnknownToken { id, rows: 2 });
        }
    }
}
