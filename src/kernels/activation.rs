//! What stands between two products, element by element.

use super::simd::Simd;

/// A function of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `x * (1 + erf(x / sqrt(2))) / 2`, BERT's Gelu.
    Gelu,
    /// Gelu with its approximation by tanh: `x / (1 + exp(-2 * sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    #[inline(always)]
    pub(super) fn of<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        match self {
            Self::Identity => x,
            Self::Gelu => gelu(s, x),
            Self::GeluTanh => gelu_tanh(s, x),
            Self::Relu => s.max(x, s.splat(0.0)),
        }
    }
}

#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let half = s.mul(x, s.splat(0.5));
    let erf = erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2)));
    s.mul_add(half, erf, half)
}

#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // 2 * sqrt(2 / pi)
    const TWICE: f32 = 1.595_769;
    let square = s.mul(x, x);
    let inner = s.mul(x, s.mul_add(square, s.splat(-TWICE * 0.044_715), s.splat(-TWICE)));
    s.div(x, s.add(s.splat(1.0), exp(s, inner)))
}

/// The error function to 1e-7: an odd polynomial near 0, elsewhere 1 - exp of a polynomial.
#[inline(always)]
fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    const SPLIT: f32 = 0.927_734_4;
    let (size, square) = (s.abs(x), s.mul(x, x));
    let near = polynomial(
        s,
        square,
        [
            -5.967_617e-4,
            4.991_194_2e-3,
            -2.676_813_5e-2,
            1.128_199_25e-1,
            -3.761_253_4e-1,
            1.283_791_7e-1,
        ],
    );
    let near = s.mul_add(near, x, x);
    let far = polynomial(
        s,
        size,
        [
            -1.728_534_7e-5,
            3.831_971_3e-4,
            -3.883_964_4e-3,
            2.425_462_2e-2,
            -1.067_778_8e-1,
            -6.348_468_7e-1,
            -1.287_175_1e-1,
        ],
    );
    let far = s.sub(s.splat(1.0), exp(s, s.sub(s.mul(far, size), size)));
    s.select_less(size, s.splat(SPLIT), near, s.copy_sign(far, x))
}

/// `e^x`, to some units in the last place; below -87 it stays at the smallest normal numbers.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // ln(2) in two parts: the product of the first with a small integer is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = s.min(s.max(x, s.splat(-87.0)), s.splat(88.0));
    let power = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let rest = s.mul_add(power, s.splat(-LN_2_HIGH), x);
    let rest = s.mul_add(power, s.splat(-LN_2_LOW), rest);
    let tail = polynomial(
        s,
        rest,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5],
    );
    let value = s.add(s.mul_add(tail, s.mul(rest, rest), rest), s.splat(1.0));
    s.scale(value, power)
}

/// Horner's rule, the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, coefficients: [f32; N]) -> S::F32 {
    let mut value = s.splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        value = s.mul_add(value, x, s.splat(coefficient));
    }
    value
}
