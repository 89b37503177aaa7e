//! Products of one query with the rows of a corpus, in f32, 8 bits and 4 bits.
#![expect(unsafe_code, reason = "registers are read through pointers in the innermost loop")]

use super::simd::{CACHE_LINE, Dot, LINE, PAGE, PAGES_AHEAD, Simd, Task};
use super::{Kernels, LengthError, check};

impl Kernels {
    /// Writes to `out`, `[rows]`, the dot products of a query `[dim]` with rows `[rows, dim]`.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn dots(self, query: &[f32], rows: &[f32], out: &mut [f32]) -> Result<(), LengthError> {
        check("the rows", rows.len(), out.len() * query.len())?;
        self.enter(DotTask { query, rows, out });
        Ok(())
    }

    /// Writes to `out`, `[rows]`, the sums of the products of a query with rows of half bytes, from 0 to 15.
    /// `rows` is `[rows, half]`. Byte `j` of a row has the value of dimension `j` in its lower half, and that
    /// of dimension `half + j` in its upper half. `query` is `[2 * half]`.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn half_dots(self, query: &[i8], rows: &[u8], out: &mut [i32]) -> Result<(), LengthError> {
        let half = query.len() / 2;
        check("the query", query.len(), 2 * half)?;
        check("the rows", rows.len(), out.len() * half)?;
        self.enter(HalfDotTask { query, rows, out });
        Ok(())
    }

    /// Returns the dot product of a query with a row of bytes that is stored in two arrays of half bytes,
    /// `[half]` each, in the order of [`half_dots`](Self::half_dots). The value of a dimension is 16 times its
    /// half byte of `upper` plus that of `lower`, minus 128. `query` is `[2 * half]`. The sum must not exceed
    /// 31 bits.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn code_dot(self, query: &[i16], upper: &[u8], lower: &[u8]) -> Result<i32, LengthError> {
        check("the query", query.len(), 2 * upper.len())?;
        check("the lower halves", lower.len(), upper.len())?;
        let mut sum = 0;
        self.enter(CodeDotTask { query, upper, lower, sum: &mut sum });
        Ok(sum)
    }

    /// Hints that these values are read soon. Does not wait.
    pub fn prefetch<T>(self, values: &[T]) {
        self.enter(PrefetchTask(values));
    }

    /// The same for values that are read later, from pages that [`look_up`](Self::look_up) named before. More of them
    /// can be on their way from memory at the same time.
    pub fn prefetch_far<T>(self, values: &[T]) {
        self.enter(PrefetchFarTask(values));
    }

    /// Makes the processor look up the addresses of the pages of these values. Does not wait.
    pub fn look_up<T>(self, values: &[T]) {
        self.enter(LookUpTask(values));
    }
}

/// Returns an address in each cache line of these values. It can return two in the last line.
#[inline(always)]
fn lines<T>(values: &[T]) -> impl Iterator<Item = *const f32> {
    let last = size_of_val(values).saturating_sub(1);
    let start: *const f32 = values.as_ptr().cast();
    (0..last).step_by(CACHE_LINE).chain([last]).map(move |at| start.wrapping_byte_add(at))
}

struct PrefetchTask<'a, T>(&'a [T]);

impl<T> Task for PrefetchTask<'_, T> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        lines(self.0).for_each(|address| s.prefetch(address));
    }
}

struct PrefetchFarTask<'a, T>(&'a [T]);

impl<T> Task for PrefetchFarTask<'_, T> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        lines(self.0).for_each(|address| s.prefetch_far(address));
    }
}

struct LookUpTask<'a, T>(&'a [T]);

impl<T> Task for LookUpTask<'_, T> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let start: *const f32 = self.0.as_ptr().cast();
        let last = start.wrapping_byte_add(size_of_val(self.0).saturating_sub(1));
        let pages = last.addr() / PAGE - start.addr() / PAGE;
        (0..pages).for_each(|page| s.prefetch(start.wrapping_byte_add(page * PAGE)));
        s.prefetch(last);
    }
}

struct DotTask<'a> {
    query: &'a [f32],
    rows: &'a [f32],
    out: &'a mut [f32],
}

/// How many parts of the rows are read at the same time, a row of each in turn. One core reads faster
/// from several places in memory than from one. docs/adr/0014-corpora.md has the measurement.
const STREAMS: usize = 4;

/// How far ahead of its use a part of the rows is requested for the second cache, in bytes: a row of 384 values.
const STREAM_AHEAD_BYTES: usize = 1_536;

impl Task for DotTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let dim = self.query.len();
        let each = self.out.len() / STREAMS;
        for index in 0..each {
            let rows: [&[f32]; STREAMS] =
                std::array::from_fn(|part| &self.rows[(part * each + index) * dim..][..dim]);
            for row in rows {
                let ahead = row.as_ptr().wrapping_byte_add(STREAM_AHEAD_BYTES + PAGES_AHEAD);
                for at in (0..size_of_val(row)).step_by(PAGE) {
                    s.prefetch(ahead.wrapping_byte_add(at));
                }
            }
            let products = dots(s, self.query, rows, |address| {
                s.prefetch_far(address.wrapping_byte_add(STREAM_AHEAD_BYTES));
            });
            for (part, product) in products.into_iter().enumerate() {
                self.out[part * each + index] = product;
            }
        }
        for index in STREAMS * each..self.out.len() {
            let row = &self.rows[index * dim..][..dim];
            [self.out[index]] = dots(s, self.query, [row], |_| {});
        }
    }
}

/// Returns the dot products of a query `[dim]` with some rows, `[dim]` each. The product of a row does not
/// depend on the other rows.
/// `visit` gets the address of each cache line of the rows.
#[inline(always)]
fn dots<S: Simd, const ROWS: usize>(
    s: S,
    query: &[f32],
    rows: [&[f32]; ROWS],
    visit: impl Fn(*const f32),
) -> [f32; ROWS] {
    let step = 2 * S::WIDTH;
    let whole = query.len() - query.len() % step;
    let rows = rows.map(|row| &row[..query.len()]);
    let mut sums = [[s.splat(0.0); 2]; ROWS];
    for at in (0..whole).step_by(step) {
        // SAFETY: `at + 2 * WIDTH` is at most the length of the query and of each row.
        unsafe {
            let query = query.as_ptr().add(at);
            let (first, second) = (s.load(query), s.load(query.add(S::WIDTH)));
            for (row, sums) in rows.iter().zip(&mut sums) {
                let row = row.as_ptr().add(at);
                (0..step).step_by(LINE).for_each(|line| visit(row.wrapping_add(line)));
                sums[0] = s.mul_add(first, s.load(row), sums[0]);
                sums[1] = s.mul_add(second, s.load(row.add(S::WIDTH)), sums[1]);
            }
        }
    }
    std::array::from_fn(|row| {
        let rest = query[whole..].iter().zip(&rows[row][whole..]).map(|(a, b)| a * b);
        s.sum(s.add(sums[row][0], sums[row][1])) + rest.sum::<f32>()
    })
}

/// How far ahead of its use data is requested for the second cache. The address of its page is looked up two
/// pages earlier, by a request for the first cache: without that, the processor drops the requests for a page
/// that was not accessed before. docs/adr/0010-kernels.md has the measurement.
const AHEAD_BYTES: usize = 8_192;

/// Up to how many bytes after its rows [`Kernels::half_dots`] requests from memory.
pub const HALF_DOTS_REACH: usize = AHEAD_BYTES + PAGES_AHEAD;

struct HalfDotTask<'a> {
    query: &'a [i8],
    rows: &'a [u8],
    out: &'a mut [i32],
}

impl Task for HalfDotTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let half = self.query.len() / 2;
        let (low, high) = self.query.split_at(half);
        let step = 4 * S::LANES;
        let whole = half - half % step;
        for (index, out) in self.out.iter_mut().enumerate() {
            let row = &self.rows[index * half..][..half];
            let ahead = row.as_ptr().wrapping_add(AHEAD_BYTES);
            if index * half % PAGE < half {
                s.prefetch(ahead.wrapping_add(PAGES_AHEAD).cast());
            }
            let mut sums = s.zeros();
            for at in (0..whole).step_by(step) {
                // SAFETY: `at + 4 * LANES` is at most `half`, the length of all three.
                unsafe {
                    let codes = row.as_ptr().add(at);
                    if at % CACHE_LINE == 0 {
                        s.prefetch_far(ahead.wrapping_add(at).cast());
                    }
                    sums = s.dot_halves(sums, codes, low.as_ptr().add(at), high.as_ptr().add(at));
                }
            }
            let rest = row[whole..].iter().zip(&low[whole..]).zip(&high[whole..]);
            let rest = rest.map(|((&code, &low), &high)| {
                i32::from(code & 15) * i32::from(low) + i32::from(code >> 4) * i32::from(high)
            });
            *out = s.total(sums) + rest.sum::<i32>();
        }
    }
}

struct CodeDotTask<'a> {
    query: &'a [i16],
    upper: &'a [u8],
    lower: &'a [u8],
    sum: &'a mut i32,
}

impl Task for CodeDotTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, _: S) {
        let (low, high) = self.query.split_at(self.upper.len());
        let halves = self.upper.iter().zip(self.lower);
        // The compiler makes vectors of this.
        *self.sum =
            halves.zip(low.iter().zip(high)).fold(0, |sum, ((&upper, &lower), (&a, &b))| {
                let first = ((upper & 15) << 4 | (lower & 15)) ^ 128;
                let second = ((upper & 240) | lower >> 4) ^ 128;
                sum + i32::from(a) * i32::from(first.cast_signed())
                    + i32::from(b) * i32::from(second.cast_signed())
            });
    }
}
