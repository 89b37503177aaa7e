//! NEON with the dot product instructions, as Graviton2 and later have them.
#![expect(unsafe_code, reason = "intrinsics; each SAFETY comment names the proof")]

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::simd::{Dot, Simd, Task};

/// Proof that the processor has NEON and the dot product instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        let present =
            is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod");
        present.then_some(Self(()))
    }
}

#[target_feature(enable = "neon,dotprod")]
fn inside<T: Task>(simd: Neon, task: T) {
    task.run(simd);
}

// SAFETY (of every block below): `self` exists only where `detect` found the instructions; memory
// is accessed under the contract of the trait's method.
impl Simd for Neon {
    type F32 = float32x4_t;

    const WIDTH: usize = 4;

    // 24 accumulators of 32 registers, 2 for weights, the rest for activations.
    const TILE_ROWS: usize = 12;

    fn enter<T: Task>(self, task: T) {
        unsafe { inside(self, task) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, values: float32x4_t) {
        unsafe { vst1q_f32(to, values) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        unsafe {
            asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
        }
    }

    #[inline(always)]
    fn prefetch_far(self, address: *const f32) {
        unsafe {
            asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
        }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        unsafe { vabsq_f32(a) }
    }

    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        unsafe { vrndnq_f32(a) }
    }

    #[inline(always)]
    fn scale(self, a: float32x4_t, power: float32x4_t) -> float32x4_t {
        unsafe {
            let exponent = vaddq_s32(vcvtnq_s32_f32(power), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(a) }
    }

    #[inline(always)]
    fn largest(self, a: float32x4_t) -> f32 {
        unsafe { vmaxvq_f32(a) }
    }
}

/// Adds the dot product of four bytes of `a` with four of `b` to each sum.
///
/// # Safety
/// The processor must have the dot product instructions.
#[inline(always)]
unsafe fn sdot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: by the contract. The intrinsic is not stable yet.
    unsafe {
        asm!(
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) sums, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

// SAFETY: as above.
impl Dot for Neon {
    type I32 = int32x4_t;

    const LANES: usize = 4;

    const DOT_ROWS: usize = 16;

    // NEON multiplies bytes of the same signedness only.
    const SHIFT: u8 = 128;

    #[inline(always)]
    fn zeros(self) -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn dot(self, sums: int32x4_t, x: *const u8, w: *const i8) -> int32x4_t {
        unsafe {
            let x = vreinterpretq_s8_u32(vdupq_n_u32(x.cast::<u32>().read_unaligned()));
            sdot(sums, vld1q_s8(w), x)
        }
    }

    #[inline(always)]
    unsafe fn dot_halves(
        self,
        sums: int32x4_t,
        codes: *const u8,
        low: *const i8,
        high: *const i8,
    ) -> int32x4_t {
        unsafe {
            let codes = vld1q_u8(codes);
            let lower = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
            let upper = vreinterpretq_s8_u8(vshrq_n_u8::<4>(codes));
            sdot(sdot(sums, lower, vld1q_s8(low)), upper, vld1q_s8(high))
        }
    }

    #[inline(always)]
    fn add_where(self, mut sums: int32x4_t, values: &[i8; 64], bits: u64) -> int32x4_t {
        unsafe {
            // Each byte of two is repeated eight times, and compared with its eight bits.
            let places = vcreate_u8(0x8040_2010_0804_0201);
            let places = vcombine_u8(places, places);
            for (values, bits) in
                values.as_chunks::<16>().0.iter().zip(bits.to_le_bytes().as_chunks::<2>().0)
            {
                let bits = vcombine_u8(vdup_n_u8(bits[0]), vdup_n_u8(bits[1]));
                let mask = vreinterpretq_s8_u8(vtstq_u8(bits, places));
                let set = vandq_s8(mask, vld1q_s8(values.as_ptr()));
                sums = sdot(sums, set, vdupq_n_s8(1));
            }
            sums
        }
    }

    #[inline(always)]
    fn total(self, sums: int32x4_t) -> i32 {
        unsafe { vaddvq_s32(sums) }
    }

    #[inline(always)]
    unsafe fn store_sums(self, to: *mut i32, sums: int32x4_t) {
        unsafe { vst1q_s32(to, sums) }
    }
}
