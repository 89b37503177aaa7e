//! AVX-512 with VNNI. Processors that have AVX-512 without it use AVX2.
#![expect(unsafe_code, reason = "intrinsics; each SAFETY comment names the proof")]

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::simd::{Dot, Simd, Task};

/// Proof that the processor has AVX-512 F, BW, DQ, VL and VNNI, AVX2, FMA and POPCNT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(Avx2);

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        Avx2::detect().filter(|_| present).map(Self)
    }

    /// Runs a task that counts bits, with the instruction for it if the processor has it.
    pub(super) fn enter_counting<T: Task>(self, task: T) {
        if is_x86_feature_detected!("avx512vpopcntdq") {
            // SAFETY: the processor has this instruction and those of the set.
            unsafe { inside_counting(self, task) }
        } else {
            self.enter(task);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,popcnt")]
fn inside<T: Task>(simd: Avx512, task: T) {
    task.run(simd);
}

#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,avx2,fma,popcnt"
)]
fn inside_counting<T: Task>(simd: Avx512, task: T) {
    task.run(simd);
}

// SAFETY (of every block below): `self` exists only where `detect` found the instructions; memory
// is accessed under the contract of the trait's method.
impl Simd for Avx512 {
    type F32 = __m512;

    const WIDTH: usize = 16;

    // 28 accumulators of 32 registers, 2 for weights, 1 for an activation.
    const TILE_ROWS: usize = 14;

    fn enter<T: Task>(self, task: T) {
        unsafe { inside(self, task) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, values: __m512) {
        unsafe { _mm512_storeu_ps(to, values) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    fn prefetch_far(self, address: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m512, power: __m512) -> __m512 {
        unsafe { _mm512_scalef_ps(a, power) }
    }

    #[inline(always)]
    fn at_most(self, values: &[u16; 32], most: u16) -> u32 {
        unsafe {
            let values = _mm512_loadu_si512(values.as_ptr().cast());
            _mm512_cmple_epu16_mask(values, _mm512_set1_epi16(most.cast_signed()))
        }
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        unsafe {
            let (low, high) = (_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            self.0.sum(_mm256_add_ps(low, high))
        }
    }

    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        unsafe {
            let (low, high) = (_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            self.0.largest(_mm256_max_ps(low, high))
        }
    }
}

// SAFETY: as above.
impl Dot for Avx512 {
    type I32 = __m512i;

    const LANES: usize = 16;

    // 16 accumulators of 32 registers; the processor has work for all of its units with fewer.
    const DOT_ROWS: usize = 16;

    const SHIFT: u8 = 0;

    #[inline(always)]
    fn zeros(self) -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn dot(self, sums: __m512i, x: *const u8, w: *const i8) -> __m512i {
        unsafe {
            let x = _mm512_set1_epi32(x.cast::<i32>().read_unaligned());
            _mm512_dpbusd_epi32(sums, x, _mm512_loadu_si512(w.cast()))
        }
    }

    #[inline(always)]
    unsafe fn dot_halves(
        self,
        sums: __m512i,
        codes: *const u8,
        low: *const i8,
        high: *const i8,
    ) -> __m512i {
        unsafe {
            let (codes, mask) = (_mm512_loadu_si512(codes.cast()), _mm512_set1_epi8(15));
            let (lower, upper) = (
                _mm512_and_si512(codes, mask),
                _mm512_and_si512(_mm512_srli_epi16::<4>(codes), mask),
            );
            let sums = _mm512_dpbusd_epi32(sums, lower, _mm512_loadu_si512(low.cast()));
            _mm512_dpbusd_epi32(sums, upper, _mm512_loadu_si512(high.cast()))
        }
    }

    #[inline(always)]
    fn add_where(self, sums: __m512i, values: &[i8; 64], bits: u64) -> __m512i {
        unsafe {
            let set = _mm512_maskz_loadu_epi8(bits, values.as_ptr());
            _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), set)
        }
    }

    #[inline(always)]
    fn total(self, sums: __m512i) -> i32 {
        unsafe {
            let (low, high) = (_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums));
            self.0.total(_mm256_add_epi32(low, high))
        }
    }

    #[inline(always)]
    unsafe fn store_sums(self, to: *mut i32, sums: __m512i) {
        unsafe { _mm512_storeu_si512(to.cast(), sums) }
    }
}
