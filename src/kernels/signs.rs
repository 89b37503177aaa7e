//! Sign codes of the rows of a corpus: one bit for each dimension, in words of 64 bits.

use super::simd::{CACHE_LINE, Dot, Task};
#[cfg(target_arch = "x86_64")]
use super::{Detected, avx512_signs::Avx512Signs};
use super::{Kernels, LengthError, check};

impl Kernels {
    /// Writes to `out`, `[rows]`, the number of bits in which each row of `[rows, words]` differs from
    /// a query `[words]`.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn hamming(self, query: &[u64], rows: &[u64], out: &mut [u16]) -> Result<(), LengthError> {
        check("the rows", rows.len(), out.len() * query.len())?;
        let done = self.hamming_in_steps(query, rows, out);
        let (rows, out) = (&rows[done * query.len()..], &mut out[done..]);
        self.enter_counting(HammingTask { query, rows, out });
        Ok(())
    }

    /// Does the same for the first rows, if the processor has a faster way, and returns for how many.
    fn hamming_in_steps(self, query: &[u64], rows: &[u64], out: &mut [u16]) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Detected::Avx512(simd) = self.0
            && let Some(signs) = Avx512Signs::detect(simd)
        {
            return signs.hamming(query, rows, out);
        }
        0
    }

    /// Appends to `rows` the numbers of the rows with at most `most` different bits. `bits` is
    /// `[rows]`.
    pub fn near(self, bits: &[u16], most: u16, rows: &mut Vec<u32>) {
        self.enter(NearTask { bits, most, rows });
    }

    /// Writes to `out`, `[numbers]`, the sum of the values of a query, `[words, 64]`, at the set bits of some
    /// rows of `[rows, words]`, which have these numbers. Bit `i` of a word belongs to value `i` of the 64.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together, or a row is missing.
    pub fn sign_sums(
        self,
        query: &[[i8; 64]],
        rows: &[u64],
        numbers: &[u32],
        out: &mut [i32],
    ) -> Result<(), LengthError> {
        check("the numbers", numbers.len(), out.len())?;
        let last = numbers.iter().max().map_or(0, |&number| number as usize + 1);
        check("the rows", rows.len().min(last * query.len()), last * query.len())?;
        self.enter(SignSumTask { query, rows, numbers, out });
        Ok(())
    }
}

struct HammingTask<'a> {
    query: &'a [u64],
    rows: &'a [u64],
    out: &'a mut [u16],
}

/// Rows that are compared together, in registers of 8 words. The cache lines of as many rows further ahead
/// are requested before.
const STEP_ROWS: usize = 8;

/// How far ahead of their use cache lines are requested, in bytes: over the end of a block of rows, so that memory is
/// read while the block is evaluated. ADR 0014 has the measurement.
const AHEAD_BYTES: usize = 8_192;

impl Task for HammingTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let words = self.query.len();
        if words == 0 {
            self.out.fill(0);
            return;
        }
        let steps = self.rows.chunks(STEP_ROWS * words);
        for (rows, out) in steps.zip(self.out.chunks_mut(STEP_ROWS)) {
            for at in (0..size_of_val(rows)).step_by(CACHE_LINE) {
                s.prefetch(rows.as_ptr().wrapping_byte_add(at + AHEAD_BYTES).cast());
            }
            match words {
                // Vectors of 384, 768 and 1,024 dimensions.
                6 => rows_of::<6>(self.query, rows, out),
                12 => rows_of::<12>(self.query, rows, out),
                16 => rows_of::<16>(self.query, rows, out),
                words => {
                    for (out, row) in out.iter_mut().zip(rows.chunks_exact(words)) {
                        *out = differences(self.query, row);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn rows_of<const WORDS: usize>(query: &[u64], rows: &[u64], out: &mut [u16]) {
    let (rows, _) = rows.as_chunks::<WORDS>();
    let Some(query) = query.first_chunk::<WORDS>() else { return };
    for (out, row) in out.iter_mut().zip(rows) {
        *out = differences(query, row);
    }
}

#[inline(always)]
fn differences(query: &[u64], row: &[u64]) -> u16 {
    let bits: u32 = query.iter().zip(row).map(|(a, b)| (a ^ b).count_ones()).sum();
    u16::try_from(bits).unwrap_or(u16::MAX)
}

struct NearTask<'a> {
    bits: &'a [u16],
    most: u16,
    rows: &'a mut Vec<u32>,
}

/// Rows that are compared together.
const GROUP: usize = 32;

/// Most groups have at most this number of near rows.
const FEW: usize = 3;

impl Task for NearTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let (groups, rest) = self.bits.as_chunks::<GROUP>();
        let mut start = 0;
        let (mut found, mut count) = ([0; 2 * GROUP + 1], 0);
        for group in groups {
            let mut near = s.at_most(group, self.most);
            // Without a branch: how many rows of a group are near cannot be predicted.
            for _ in 0..FEW {
                found[count] = start + near.trailing_zeros();
                count += usize::from(near != 0);
                near &= near.wrapping_sub(1);
            }
            while near != 0 {
                found[count] = start + near.trailing_zeros();
                count += 1;
                near &= near - 1;
            }
            if count > GROUP {
                self.rows.extend_from_slice(&found[..count]);
                count = 0;
            }
            start += GROUP as u32;
        }
        self.rows.extend_from_slice(&found[..count]);
        let numbered = (start..).zip(rest);
        self.rows.extend(numbered.filter(|(_, bits)| **bits <= self.most).map(|(row, _)| row));
    }
}

struct SignSumTask<'a> {
    query: &'a [[i8; 64]],
    rows: &'a [u64],
    numbers: &'a [u32],
    out: &'a mut [i32],
}

/// How many rows ahead of its use a code is prefetched. The numbers jump, so that the processor cannot
/// guess the next one.
const ROWS_AHEAD: usize = 16;

impl Task for SignSumTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let words = self.query.len();
        for (index, (&number, out)) in self.numbers.iter().zip(self.out).enumerate() {
            if let Some(&ahead) = self.numbers.get(index + ROWS_AHEAD) {
                let code = self.rows.as_ptr().wrapping_add(ahead as usize * words);
                s.prefetch(code.cast());
                // A code of 48 bytes can end in the next cache line.
                s.prefetch(code.wrapping_add(words.saturating_sub(1)).cast());
            }
            let code = &self.rows[number as usize * words..][..words];
            let pairs = code.chunks(2).zip(self.query.chunks(2));
            let mut sums = [s.zeros(); 2];
            for (words, values) in pairs {
                for ((&word, values), sum) in words.iter().zip(values).zip(&mut sums) {
                    *sum = s.add_where(*sum, values, word);
                }
            }
            *out = s.total(sums[0]) + s.total(sums[1]);
        }
    }
}
