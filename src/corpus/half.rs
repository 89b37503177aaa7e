//! Numbers of 16 bits, IEEE 754 binary16.

/// Returns the nearest half-precision number, ties to even.
pub(crate) fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65,520 and more round to infinity.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: the value in units of 2^-24, which f32 arithmetic rounds to even.
        let units = f32::from_bits(magnitude) * 16_777_216.0;
        return sign | units.round_ties_even() as u16;
    }
    let rounded = magnitude - 0x3800_0000 + 0x0fff + (magnitude >> 13 & 1);
    sign | (rounded >> 13) as u16
}

/// Returns the value of a half-precision number.
pub(crate) fn from_half(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(half >> 10 & 0x1f), u32::from(half & 0x3ff));
    let magnitude = match exponent {
        0 => return f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        0x1f => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_and_the_nearest_is_taken() {
        for half in 0..=u16::MAX {
            let value = from_half(half);
            if value.is_nan() {
                assert!(from_half(to_half(value)).is_nan());
                continue;
            }
            assert_eq!(to_half(value), half);
            let next = from_half(half.wrapping_add(1));
            if next.is_finite() && value.is_finite() && half & 0x7fff != 0x7fff {
                let middle = (f64::from(value) + f64::from(next)) / 2.0;
                let even = if half % 2 == 0 { half } else { half + 1 };
                assert_eq!(to_half(middle as f32), even, "{half:#06x}");
            }
        }
        assert_eq!(to_half(1e6), 0x7c00);
    }
}
