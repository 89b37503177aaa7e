//! Codes of rows: one bit and one byte for each dimension.
//!
//! The 1-bit code has the signs of a row minus the mean of its segment. The sum of a query over the
//! bits, times one factor a row, estimates the product without a rotation.
//! Source: RaBitQ, <https://arxiv.org/abs/2405.12497>, equation 20, with the center of one cluster.
//!
//! The 8-bit code is that of a row minus the same mean, symmetric with one scale a row. It is stored in two
//! files: the upper halves of all bytes, which are a code of 4 bits, and the lower halves. The lengths of
//! what each of the two codes leaves out are known. By the Cauchy-Schwarz inequality this bounds the error
//! of every product. The exact search reads the upper halves of all rows, and the lower halves of few.

/// Number of factors of an 8-bit code.
pub(crate) const BYTE_FACTORS: usize = 4;

/// The factors of the 8-bit code of a row: what the integers are multiplied by, the length of the row minus
/// the center, the length of what the upper halves leave out, and of what the whole code leaves out. Lengths
/// are rounded up.
pub(crate) type ByteFactors = [f32; BYTE_FACTORS];

/// Returns the number of bytes that the halves of an 8-bit code take.
pub(crate) const fn half_bytes(dim: usize) -> usize {
    dim.div_ceil(2)
}

/// Returns the number of 64-bit words of a 1-bit code.
pub(crate) const fn sign_words(dim: usize) -> usize {
    dim.div_ceil(64)
}

/// Returns the sign bits of `row - center`. Bit `i % 64` of word `i / 64` belongs to dimension `i`; a
/// set bit is a value above zero.
pub(crate) fn signs(row: &[f32], center: &[f32]) -> Vec<u64> {
    let mut words = vec![0u64; sign_words(row.len())];
    for (index, (x, c)) in row.iter().zip(center).enumerate() {
        if x > c {
            words[index / 64] |= 1 << (index % 64);
        }
    }
    words
}

/// Returns the integers of a row, from `-steps` to `steps`, with their scale and the length of the
/// difference, rounded up.
pub(crate) fn quantize(row: &[f32], steps: i8, codes: &mut Vec<i8>) -> (f32, f32) {
    let largest = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let scale = if largest > 0.0 { largest / f32::from(steps) } else { 1.0 };
    let mut squares = 0.0f64;
    for &x in row {
        let code = rounded(x / scale).clamp(-f32::from(steps), f32::from(steps));
        codes.push(code as i8);
        squares += (f64::from(x) - f64::from(scale) * f64::from(code)).powi(2);
    }
    (scale, (squares.sqrt() as f32).next_up())
}

/// Returns the nearest integer, ties to even, of a value below 2^22. Without an instruction for it,
/// `f32::round_ties_even` is a call of the C library for each value; this is two additions.
fn rounded(x: f32) -> f32 {
    // At 1.5 * 2^23, the distance of two values is 1.
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT) - SHIFT
}

/// Returns the factor of the signs of a row: `|r|² / Σ|r_i|` of `r = row - center`.
pub(crate) fn sign_factor(row: &[f32], center: &[f32]) -> f32 {
    let (mut squares, mut sum) = (0.0f32, 0.0f32);
    for (x, c) in row.iter().zip(center) {
        let rest = x - c;
        squares += rest * rest;
        sum += rest.abs();
    }
    if sum > 0.0 { squares / sum } else { 0.0 }
}

/// The 8-bit code of a row.
///
/// Byte `j` of `upper` has the upper half of the byte of dimension `j` in its lower half, and that of
/// dimension `half + j` in its upper half. `lower` is in the same order. A byte is the integer plus 128.
pub(crate) struct ByteCode {
    /// `[half]`.
    pub(crate) upper: Vec<u8>,
    /// `[half]`.
    pub(crate) lower: Vec<u8>,
    pub(crate) factors: ByteFactors,
}

impl ByteCode {
    /// Returns the code of `row - center`.
    pub(crate) fn new(row: &[f32], center: &[f32]) -> Self {
        let rest: Vec<f32> = row.iter().zip(center).map(|(x, c)| x - c).collect();
        let mut codes = Vec::with_capacity(rest.len());
        let (scale, error) = quantize(&rest, i8::MAX, &mut codes);
        let (mut squares, mut left_out) = (0.0f64, 0.0f64);
        for (&x, &code) in rest.iter().zip(&codes) {
            squares += f64::from(x).powi(2);
            let upper = f64::from(i16::from(code) >> 4) * 16.0 + MIDDLE;
            left_out += (f64::from(x) - f64::from(scale) * upper).powi(2);
        }
        let (first, second) = codes.split_at(half_bytes(codes.len()));
        let second = second.iter().copied().chain([i8::MIN]);
        let bytes = |code: i8| code.cast_unsigned() ^ 128;
        let pairs = first.iter().zip(second).map(|(&a, b)| (bytes(a), bytes(b)));
        let (upper, lower) = pairs.map(|(a, b)| (a >> 4 | (b & 240), a & 15 | b << 4)).unzip();
        Self { upper, lower, factors: [scale, up(squares), up(left_out), error] }
    }
}

/// The value of the lower half of a byte where it is not known: the middle of 0 to 15.
const MIDDLE: f64 = 7.5;

/// Returns the square root, rounded up.
fn up(square: f64) -> f32 {
    (square.sqrt() as f32).next_up()
}

/// A query in 8 bits, whose values are added at the set bits of 1-bit codes.
///
/// Rounding changes an estimate far less than its own error, which has a standard deviation of 0.6 times the factor of
/// the row: rounding of values to steps of `largest / 127` changes it by `factor * √dim * largest / (127 * √12)`. That is
/// 0.009 times the factor, for 384 dimensions and a largest value of 0.2.
pub(crate) struct SignQuery {
    /// `[words * 64]`, padded with zero.
    values: Vec<i8>,
    scale: f32,
    sum: i32,
}

impl SignQuery {
    pub(crate) fn new(query: &[f32]) -> Self {
        let mut values = Vec::with_capacity(sign_words(query.len()) * 64);
        let (scale, _) = quantize(query, i8::MAX, &mut values);
        let sum = values.iter().map(|&value| i32::from(value)).sum();
        values.resize(sign_words(query.len()) * 64, 0);
        Self { values, scale, sum }
    }

    /// `[words]`, of 64 values.
    pub(crate) fn words(&self) -> &[[i8; 64]] {
        self.values.as_chunks().0
    }

    /// Returns the product of the query with the signs of a row, 1 or -1, from the sum at its set bits.
    pub(crate) fn signed(&self, set: i32) -> f32 {
        self.scale * (2 * set - self.sum) as f32
    }
}

/// Steps of a query for whole bytes: 12 bits, so that its sums with bytes fit into 32 bits.
const QUERY_STEPS: f32 = 2047.0;

/// Steps of a query for half bytes: 8 bits, which the kernels multiply with these.
const HALF_STEPS: f32 = 127.0;

/// A query in integers. Values are `[2 * half]`, padded with zero.
pub(crate) struct QueryCode {
    /// For whole bytes.
    pub(crate) whole: QuerySteps<i16>,
    /// For the upper halves.
    pub(crate) halves: QuerySteps<i8>,
    /// What is subtracted from 32 times a sum of half bytes: `2 * (128 - MIDDLE)` times the sum of the
    /// integers of `halves`.
    offset: i32,
}

/// The integers of a query.
pub(crate) struct QuerySteps<T> {
    pub(crate) values: Vec<T>,
    /// What they are multiplied by.
    scale: f32,
    /// The length of the difference, rounded up.
    error: f32,
    /// The length of the quantized form, rounded up.
    length: f32,
}

impl<T: Clone + Default> QuerySteps<T> {
    fn new(query: &[f32], steps: f32, integer: impl Fn(f32) -> T) -> Self {
        let largest = query.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let scale = if largest > 0.0 { largest / steps } else { 1.0 };
        let (mut squares, mut length) = (0.0f64, 0.0f64);
        let values = query.iter().map(|&x| {
            let code = rounded(x / scale).clamp(-steps, steps);
            let value = f64::from(scale) * f64::from(code);
            squares += (f64::from(x) - value).powi(2);
            length += value * value;
            integer(code)
        });
        let mut values: Vec<T> = values.collect();
        values.resize(2 * half_bytes(query.len()), T::default());
        Self { values, scale, error: up(squares), length: up(length) }
    }

    /// Returns the largest error of a product with a row of this length, whose code leaves out `error`.
    #[inline]
    fn slack(&self, length: f32, error: f32) -> f32 {
        (self.length * error + self.error * length) * 1.000_01 + ROUNDING
    }
}

impl QueryCode {
    pub(crate) fn new(query: &[f32]) -> Self {
        let whole = QuerySteps::new(query, QUERY_STEPS, |code| code as i16);
        let halves = QuerySteps::new(query, HALF_STEPS, |code| code as i8);
        let sum: i32 = halves.values.iter().map(|&value| i32::from(value)).sum();
        Self { whole, halves, offset: sum * (256 - (2.0 * MIDDLE) as i32) }
    }

    /// Returns the largest f32 product that a row can have. `sum` is the product of the integers with the
    /// upper halves, and `shift` the product of the query with the center.
    #[inline]
    pub(crate) fn most(&self, sum: i32, shift: f32, factors: ByteFactors) -> f32 {
        let [scale, length, error, _] = factors;
        let product = (32 * sum - self.offset) as f32 * (0.5 * self.halves.scale * scale);
        shift + product + self.halves.slack(length, error)
    }

    /// Returns the product with a row, and the largest difference between this and their f32 product. `sum`
    /// is the product of the integers with the whole bytes, and `shift` that of the query with the center.
    #[inline]
    pub(crate) fn product(&self, sum: i32, shift: f32, factors: ByteFactors) -> (f32, f32) {
        let [scale, length, _, error] = factors;
        (shift + sum as f32 * (self.whole.scale * scale), self.whole.slack(length, error))
    }
}

/// More than the rounding errors of a dot product of unit vectors in f32, and of the bound itself.
pub(crate) const ROUNDING: f32 = 1e-5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Kernels;

    fn unit(mut row: Vec<f32>) -> Option<Vec<f32>> {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm < 1e-3 {
            return None;
        }
        row.iter_mut().for_each(|x| *x /= norm);
        Some(row)
    }

    proptest! {
        #[test]
        fn the_bounds_hold(
            values in proptest::collection::vec((-1.0f32..1.0, -1.0f32..1.0, -0.1f32..0.1), 1..90),
        ) {
            let column = |part: fn(&(f32, f32, f32)) -> f32| values.iter().map(part).collect::<Vec<_>>();
            let (Some(a), Some(b)) = (unit(column(|v| v.0)), unit(column(|v| v.1))) else { return Ok(()) };
            let center = column(|v| v.2);
            let dot = |x: &[f32], y: &[f32]| -> f64 {
                x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
            };
            let (query, code) = (QueryCode::new(&a), ByteCode::new(&b, &center));
            let shift = dot(&a, &center) as f32;
            let (mut sums, kernels) = ([0], Kernels::detect());
            kernels.half_dots(&query.halves.values, &code.upper, &mut sums).unwrap();
            let most = query.most(sums[0], shift, code.factors);
            let sum = kernels.code_dot(&query.whole.values, &code.upper, &code.lower).unwrap();
            let (product, slack) = query.product(sum, shift, code.factors);
            let exact = dot(&a, &b);
            prop_assert!((f64::from(product) - exact).abs() <= f64::from(slack));
            prop_assert!(slack < 0.05, "the whole code is precise: {slack}");
            prop_assert!(f64::from(most) >= exact);
            prop_assert!(f64::from(most) < exact + 0.6, "the upper half is a code of 4 bits: {most}");
        }
    }

    #[test]
    fn a_row_of_zeros_has_codes() {
        let code = ByteCode::new(&[0.0; 3], &[0.0; 3]);
        assert_eq!((code.upper, code.lower), (vec![0x88, 0x08], vec![0, 0]));
        assert!(code.factors.iter().all(|factor| factor.is_finite()));
        assert_eq!(sign_factor(&[0.0; 3], &[0.0; 3]), 0.0);
        assert_eq!(signs(&[0.5, -0.5, 0.0], &[0.0; 3]), [1]);
    }
}
