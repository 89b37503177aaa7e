//! Codes of rows: one bit and one byte for each dimension.
//!
//! The 1-bit code has the signs of a row minus the mean of its segment. The sum of a query over the
//! bits, times one factor a row, estimates the product without a rotation.
//! Source: RaBitQ, <https://arxiv.org/abs/2405.12497>, equation 20, with the center of one cluster.
//!
//! The 8-bit code is symmetric with one scale a row, and the length of what it leaves out is known. By
//! the Cauchy-Schwarz inequality this bounds the error of every product.

/// Number of factors of an 8-bit code.
pub(crate) const BYTE_FACTORS: usize = 2;

/// The factors of the 8-bit code of a row: what the integers are multiplied by, and the length of the row
/// minus its 8-bit form, rounded up.
pub(crate) type ByteFactors = [f32; BYTE_FACTORS];

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

/// Steps of a query: 12 bits, so that its sums with bytes fit into 32 bits.
const QUERY_STEPS: f32 = 2047.0;

/// A query in 12 bits.
pub(crate) struct QueryCode {
    /// The integers.
    pub(crate) values: Vec<i16>,
    /// What they are multiplied by.
    pub(crate) scale: f32,
    /// The length of the difference, rounded up.
    pub(crate) error: f32,
    /// The length of the quantized form, rounded up.
    pub(crate) length: f32,
}

impl QueryCode {
    pub(crate) fn new(query: &[f32]) -> Self {
        let largest = query.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let scale = if largest > 0.0 { largest / QUERY_STEPS } else { 1.0 };
        let (mut squares, mut length) = (0.0f64, 0.0f64);
        let values = query.iter().map(|&x| {
            let code = rounded(x / scale).clamp(-QUERY_STEPS, QUERY_STEPS);
            let value = f64::from(scale) * f64::from(code);
            squares += (f64::from(x) - value).powi(2);
            length += value * value;
            code as i16
        });
        let values = values.collect();
        let up = |square: f64| (square.sqrt() as f32).next_up();
        Self { values, scale, error: up(squares), length: up(length) }
    }

    /// Returns the product with a row of unit length, and the largest difference between this and their
    /// f32 product. `sum` is the product of the integers.
    #[inline]
    pub(crate) fn product(&self, sum: i32, [scale, error]: ByteFactors) -> (f32, f32) {
        let slack = self.length * error + self.error * 1.000_01 + ROUNDING;
        (sum as f32 * self.scale * scale, slack)
    }
}

/// More than the rounding errors of a dot product of unit vectors in f32, and of the bound itself.
pub(crate) const ROUNDING: f32 = 1e-5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn the_bound_holds(a in proptest::collection::vec(-1.0f32..1.0, 40),
                           b in proptest::collection::vec(-1.0f32..1.0, 40)) {
            let (Some(a), Some(b)) = (unit(a), unit(b)) else { return Ok(()) };
            let query = QueryCode::new(&a);
            let mut codes = Vec::new();
            let (scale, error) = quantize(&b, 127, &mut codes);
            let sum = query.values.iter().zip(&codes).map(|(&q, &c)| i32::from(q) * i32::from(c)).sum();
            let (product, slack) = query.product(sum, [scale, error]);
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            prop_assert!((f64::from(product) - exact).abs() <= f64::from(slack));
        }
    }

    #[test]
    fn a_row_of_zeros_has_codes() {
        let mut codes = Vec::new();
        let (scale, _) = quantize(&[0.0; 3], 127, &mut codes);
        assert_eq!((codes.as_slice(), scale), (&[0i8, 0, 0][..], 1.0));
        assert_eq!(sign_factor(&[0.0; 3], &[0.0; 3]), 0.0);
        assert_eq!(signs(&[0.5, -0.5, 0.0], &[0.0; 3]), [1]);
    }
}
