//! Plain Rust, for processors without the other sets, and for Miri.
#![expect(unsafe_code, reason = "reads and writes under the contracts of `Simd` and `Dot`")]

use super::simd::{Dot, Simd, Task};

/// No instructions beyond those that the program is compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

type Four = [f32; 4];

#[inline(always)]
fn each(a: Four, b: Four, with: impl Fn(f32, f32) -> f32) -> Four {
    [with(a[0], b[0]), with(a[1], b[1]), with(a[2], b[2]), with(a[3], b[3])]
}

impl Simd for Portable {
    type F32 = Four;

    const WIDTH: usize = 4;

    const TILE_ROWS: usize = 4;

    fn enter<T: Task>(self, task: T) {
        task.run(self);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Four {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Four {
        // SAFETY: the caller vouches for four readable values.
        unsafe { from.cast::<Four>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, values: Four) {
        // SAFETY: the caller vouches for room for four values.
        unsafe { to.cast::<Four>().write_unaligned(values) }
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}

    #[inline(always)]
    fn prefetch_far(self, _: *const f32) {}

    #[inline(always)]
    fn add(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| a / b)
    }

    /// Rounds twice: `f32::mul_add` is a slow function where the processor has no such instruction.
    #[inline(always)]
    fn mul_add(self, a: Four, b: Four, c: Four) -> Four {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn max(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn abs(self, a: Four) -> Four {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn round(self, a: Four) -> Four {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn scale(self, a: Four, power: Four) -> Four {
        each(a, power, |a, power| a * f32::from_bits(((power as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn sum(self, a: Four) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }

    #[inline(always)]
    fn largest(self, a: Four) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}

impl Dot for Portable {
    type I32 = [i32; 4];

    const LANES: usize = 4;

    const DOT_ROWS: usize = 2;

    const SHIFT: u8 = 0;

    #[inline(always)]
    fn zeros(self) -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn dot(self, mut sums: [i32; 4], x: *const u8, w: *const i8) -> [i32; 4] {
        // SAFETY: the caller vouches for 4 and 16 readable bytes.
        let (x, w) = unsafe { (x.cast::<[u8; 4]>().read(), w.cast::<[[i8; 4]; 4]>().read()) };
        for (sum, w) in sums.iter_mut().zip(w) {
            *sum += w.iter().zip(x).map(|(&w, x)| i32::from(w) * i32::from(x)).sum::<i32>();
        }
        sums
    }

    #[inline(always)]
    unsafe fn dot_halves(
        self,
        mut sums: [i32; 4],
        codes: *const u8,
        low: *const i8,
        high: *const i8,
    ) -> [i32; 4] {
        // SAFETY: the caller vouches for 16 readable bytes of each.
        let (codes, low, high) = unsafe {
            let (low, high) =
                (low.cast::<[[i8; 4]; 4]>().read(), high.cast::<[[i8; 4]; 4]>().read());
            (codes.cast::<[[u8; 4]; 4]>().read(), low, high)
        };
        for (((sum, codes), low), high) in sums.iter_mut().zip(codes).zip(low).zip(high) {
            for ((code, low), high) in codes.into_iter().zip(low).zip(high) {
                *sum += i32::from(code & 15) * i32::from(low);
                *sum += i32::from(code >> 4) * i32::from(high);
            }
        }
        sums
    }

    #[inline(always)]
    fn add_where(self, mut sums: [i32; 4], values: &[i8; 64], bits: u64) -> [i32; 4] {
        let bit = |index: usize| (bits >> index & 1) as i32;
        let set = values.iter().enumerate().map(|(index, &value)| bit(index) * i32::from(value));
        sums[0] += set.sum::<i32>();
        sums
    }

    #[inline(always)]
    fn total(self, sums: [i32; 4]) -> i32 {
        sums.into_iter().sum()
    }

    #[inline(always)]
    unsafe fn store_sums(self, to: *mut i32, sums: [i32; 4]) {
        // SAFETY: the caller vouches for room for four values.
        unsafe { to.cast::<[i32; 4]>().write(sums) }
    }
}
