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
            // A NaN as the second operand stays NaN.
            Self::Relu => s.max(s.splat(0.0), x),
        }
    }
}

/// Gelu as `max(x, 0) - |x| * q(|x|)`, where `q(u) = erfc(u / sqrt(2)) / 2 = 2^(-1 - u * r(u))`.
///
/// `r` is a polynomial: the fit of `-log2(erfc(u / sqrt(2))) / u` on `[0, 6]` by Lawson's algorithm. The weight is the
/// change of Gelu, of which the largest is 9e-9. Beyond 6, `|x|` counts as 6 in the product, which is then 6e-9.
/// `scripts/fit_polynomials.py` computes the coefficients.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let zero = s.splat(0.0);
    // -|x|, at least -6. The operand that can be NaN is the second one, here and below.
    let size = s.max(s.splat(-6.0), s.min(x, s.sub(zero, x)));
    let power = polynomial(
        s,
        size,
        [
            -1.902_066_2e-6,
            -2.805_694_7e-5,
            -1.314_732_7e-4,
            2.720_756_2e-4,
            7.245_421e-3,
            5.262_761_2e-2,
            -4.591_621_5e-1,
            1.151_111,
        ],
    );
    let tail = exp2(s, s.mul_add(power, size, s.splat(-1.0)));
    s.mul_add(size, tail, s.max(zero, x))
}

#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // 2 * sqrt(2 / pi)
    const TWICE: f32 = 1.595_769;
    let square = s.mul(x, x);
    let inner = s.mul(x, s.mul_add(square, s.splat(-TWICE * 0.044_715), s.splat(-TWICE)));
    s.div(x, s.add(s.splat(1.0), exp(s, inner)))
}

/// `e^x`: the relative error is about 1e-7 times the larger of 1 and `|x|`. Below -87 it stays at the smallest normal
/// numbers.
#[inline(always)]
fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let power = s.mul(x, s.splat(std::f32::consts::LOG2_E));
    exp2(s, s.min(s.splat(126.0), s.max(s.splat(-126.0), power)))
}

/// `2^x` for `x` from -126 to 126.
///
/// The polynomial is a fit of `2^x` on `[-0.5, 0.5]` by Lawson's algorithm, with a relative error of 2e-9.
/// `scripts/fit_polynomials.py` computes the coefficients.
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let power = s.round(x);
    let value = polynomial(
        s,
        s.sub(x, power),
        [
            1.534_581_2e-4,
            1.339_993_1e-3,
            9.618_489e-3,
            5.550_328_6e-2,
            2.402_264_6e-1,
            std::f32::consts::LN_2,
            1.0,
        ],
    );
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
