//! Writes the codes of a segment. Several threads compute them, in blocks of rows.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::thread;

use super::codes::{BYTE_FACTORS, ByteCode, half_bytes, sign_factor, sign_words, signs};
use super::half::from_half;
use super::manifest::{
    BYTE_FACTORS_FILE, CENTER_FILE, LOWER_FILE, SIGN_FACTORS_FILE, SIGNS_FILE, UPPER_FILE,
    VECTORS_FILE, VectorPrecision, VectorSource,
};
use super::npy::{HEADER_BYTES, header};
use super::search::SearchOptions;
use super::segment_writer::sync;
use crate::bundle::map;
use crate::threads::start;

/// Rows of a block. A thread computes it in some milliseconds.
const BLOCK_ROWS: usize = 2_048;

/// Writes the codes of the rows of a complete file of vectors. They do not depend on the number of threads.
pub(super) fn write_codes(folder: &Path, rows: usize, source: &VectorSource) -> io::Result<()> {
    let map = map::map(&folder.join(VECTORS_FILE))?;
    let vectors = Vectors { values: map.get(HEADER_BYTES..).unwrap_or_default(), source };
    let dim = source.dimensions;
    let center = vectors.center(rows);
    let create = |name: &str, kind: &str, rows, columns| {
        let mut file = BufWriter::new(File::create(folder.join(name))?);
        file.write_all(&header(kind, rows, columns))?;
        Ok::<_, io::Error>(file)
    };
    let mut center_file = create(CENTER_FILE, "<f4", 1, dim)?;
    center_file.write_all(map::bytes(&center))?;
    sync(center_file)?;
    let mut files = [
        create(SIGNS_FILE, "|u1", rows, sign_words(dim) * 8)?,
        create(SIGN_FACTORS_FILE, "<f4", rows, 1)?,
        create(UPPER_FILE, "|u1", rows, half_bytes(dim))?,
        create(LOWER_FILE, "|u1", rows, half_bytes(dim))?,
        create(BYTE_FACTORS_FILE, "<f4", rows, BYTE_FACTORS)?,
    ];
    let threads = SearchOptions::default().threads.get();
    let starts: Vec<usize> = (0..rows).step_by(BLOCK_ROWS).collect();
    for starts in starts.chunks(threads) {
        let block =
            |start: usize| Block::new(&vectors, &center, start..rows.min(start + BLOCK_ROWS));
        thread::scope(|scope| {
            let (own, others) = starts.split_first().unwrap_or((&0, &[]));
            let others: Vec<_> =
                others.iter().map(|&first| start(scope, move || block(first))).collect();
            block(*own).write(&mut files)?;
            others.into_iter().try_for_each(|other| other.join().write(&mut files))
        })?;
    }
    files.into_iter().try_for_each(sync)
}

/// The rows of a file of vectors.
struct Vectors<'a> {
    values: &'a [u8],
    source: &'a VectorSource,
}

impl Vectors<'_> {
    /// Copies a row into `row`.
    fn read(&self, index: usize, row: &mut [f32]) {
        let row_bytes = row.len() * self.source.precision.bytes();
        let bytes = &self.values[index * row_bytes..][..row_bytes];
        match self.source.precision {
            VectorPrecision::F32 => row.copy_from_slice(map::values(bytes).unwrap_or_default()),
            VectorPrecision::F16 => {
                let halves = map::values::<u16>(bytes).unwrap_or_default();
                row.iter_mut().zip(halves).for_each(|(x, &half)| *x = from_half(half));
            }
        }
    }

    /// Returns the mean of the rows.
    fn center(&self, rows: usize) -> Vec<f32> {
        let mut row = vec![0.0f32; self.source.dimensions];
        let mut sums = vec![0.0f64; self.source.dimensions];
        for index in 0..rows {
            self.read(index, &mut row);
            sums.iter_mut().zip(&row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        sums.iter().map(|sum| (sum / rows as f64) as f32).collect()
    }
}

/// The codes of some rows, in the order of the files.
#[derive(Default)]
struct Block {
    signs: Vec<u64>,
    sign_factors: Vec<f32>,
    upper: Vec<u8>,
    lower: Vec<u8>,
    byte_factors: Vec<f32>,
}

impl Block {
    fn new(vectors: &Vectors<'_>, center: &[f32], rows: Range<usize>) -> Self {
        let mut block = Self::default();
        let mut row = vec![0.0f32; center.len()];
        for index in rows {
            vectors.read(index, &mut row);
            block.signs.extend(signs(&row, center));
            block.sign_factors.push(sign_factor(&row, center));
            let code = ByteCode::new(&row, center);
            block.upper.extend(code.upper);
            block.lower.extend(code.lower);
            block.byte_factors.extend(code.factors);
        }
        block
    }

    fn write(&self, files: &mut [BufWriter<File>; 5]) -> io::Result<()> {
        let parts = [
            map::bytes(&self.signs),
            map::bytes(&self.sign_factors),
            &self.upper,
            &self.lower,
            map::bytes(&self.byte_factors),
        ];
        files.iter_mut().zip(parts).try_for_each(|(file, part)| file.write_all(part))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::corpus::tests::{source, vector};

    #[test]
    fn the_codes_of_many_blocks_are_those_of_one() {
        let (folder, source) = (tempfile::tempdir().unwrap(), source());
        let dim = source.dimensions;
        // The last block has one row.
        let rows: Vec<Vec<f32>> = (0..4 * BLOCK_ROWS as u64 + 1).map(vector).collect();
        let mut bytes = header("<f4", rows.len(), dim).to_vec();
        rows.iter().for_each(|row| bytes.extend(map::bytes(row)));
        fs::write(folder.path().join(VECTORS_FILE), bytes).unwrap();
        write_codes(folder.path(), rows.len(), &source).unwrap();

        let read = |name: &str| fs::read(folder.path().join(name)).unwrap().split_off(HEADER_BYTES);
        let center: Vec<f32> = read(CENTER_FILE)
            .chunks_exact(4)
            .map(|x| f32::from_le_bytes(x.try_into().unwrap()))
            .collect();
        let values = read(VECTORS_FILE);
        let vectors = Vectors { values: &values, source: &source };
        let expected = Block::new(&vectors, &center, 0..rows.len());
        assert_eq!(read(SIGNS_FILE), map::bytes(&expected.signs));
        assert_eq!(read(SIGN_FACTORS_FILE), map::bytes(&expected.sign_factors));
        assert_eq!(read(UPPER_FILE), expected.upper);
        assert_eq!(read(LOWER_FILE), expected.lower);
        assert_eq!(read(BYTE_FACTORS_FILE), map::bytes(&expected.byte_factors));
    }
}
