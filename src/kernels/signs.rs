//! Sign codes of the rows of a corpus: one bit for each dimension, in words of 64 bits.
#![expect(unsafe_code, reason = "registers are read through pointers in the innermost loop")]

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

    /// Writes to `out`, `[numbers]`, the sum of the values of a query, `[dim]`, at the set bits of some
    /// rows of `[rows, words]`, which have these numbers. Bit `i % 64` of word `i / 64` belongs to
    /// dimension `i`.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together, or a row is missing.
    pub fn sign_sums(
        self,
        query: &[f32],
        rows: &[u64],
        numbers: &[u32],
        out: &mut [f32],
    ) -> Result<(), LengthError> {
        let words = query.len().div_ceil(64);
        check("the numbers", numbers.len(), out.len())?;
        let last = numbers.iter().max().map_or(0, |&number| number as usize + 1);
        check("the rows", rows.len().min(last * words), last * words)?;
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
pub(super) const AHEAD_BYTES: usize = 8_192;

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

/// Rows that are compared together. Most groups have no near row.
const GROUP: usize = 32;

impl Task for NearTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let (groups, rest) = self.bits.as_chunks::<GROUP>();
        let mut start = 0;
        for group in groups {
            let mut near = s.at_most(group, self.most);
            while near != 0 {
                self.rows.push(start + near.trailing_zeros());
                near &= near - 1;
            }
            start += GROUP as u32;
        }
        let numbered = (start..).zip(rest);
        self.rows.extend(numbered.filter(|(_, bits)| **bits <= self.most).map(|(row, _)| row));
    }
}

struct SignSumTask<'a> {
    query: &'a [f32],
    rows: &'a [u64],
    numbers: &'a [u32],
    out: &'a mut [f32],
}

/// How many rows ahead of its use a code is prefetched. The numbers jump, so that the processor cannot
/// guess the next one.
const ROWS_AHEAD: usize = 16;

impl Task for SignSumTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let words = self.query.len().div_ceil(64);
        for (index, (&number, out)) in self.numbers.iter().zip(self.out).enumerate() {
            if let Some(&ahead) = self.numbers.get(index + ROWS_AHEAD) {
                let code = self.rows.as_ptr().wrapping_add(ahead as usize * words);
                s.prefetch(code.cast());
                // A code of 48 bytes can end in the next cache line.
                s.prefetch(code.wrapping_add(words.saturating_sub(1)).cast());
            }
            let code = &self.rows[number as usize * words..][..words];
            let mut sums = [s.splat(0.0); 4];
            let mut rest = 0.0;
            for (&word, values) in code.iter().zip(self.query.chunks(64)) {
                if values.len() < 64 {
                    let set = values.iter().enumerate().filter(|(i, _)| word >> i & 1 == 1);
                    rest = set.map(|(_, value)| value).sum();
                    continue;
                }
                for start in (0..64).step_by(4 * S::WIDTH) {
                    for (part, sum) in sums.iter_mut().enumerate() {
                        let at = start + part * S::WIDTH;
                        // SAFETY: `at + WIDTH` is at most 64, the number of values.
                        let values = unsafe { s.load(values.as_ptr().add(at)) };
                        *sum = s.add_where(*sum, values, word >> at);
                    }
                }
            }
            let [a, b, c, d] = sums;
            *out = s.sum(s.add(s.add(a, b), s.add(c, d))) + rest;
        }
    }
}
