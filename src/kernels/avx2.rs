//! AVX2 with FMA and POPCNT: what every x86-64 machine of AWS Lambda has.
#![expect(unsafe_code, reason = "intrinsics; each SAFETY comment names the proof")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::simd::{Dot, Simd, Task};

/// Proof that the processor has AVX2, FMA and POPCNT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt");
        present.then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn inside<T: Task>(simd: Avx2, task: T) {
    task.run(simd);
}

// SAFETY (of every block below): `self` exists only where `detect` found the instructions; memory
// is accessed under the contract of the trait's method.
impl Simd for Avx2 {
    type F32 = __m256;

    const WIDTH: usize = 8;

    // 12 accumulators of 16 registers, 2 for weights, 1 for an activation.
    const TILE_ROWS: usize = 6;

    fn enter<T: Task>(self, task: T) {
        unsafe { inside(self, task) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, values: __m256) {
        unsafe { _mm256_storeu_ps(to, values) }
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
    fn align(self) {
        // SAFETY: the directive adds instructions that do nothing.
        unsafe { asm!(".p2align 6", options(nomem, nostack, preserves_flags)) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m256, power: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(power), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn at_most(self, values: &[u16; 32], most: u16) -> u32 {
        unsafe {
            let most = _mm256_set1_epi16(most.cast_signed());
            let from = values.as_ptr().cast::<__m256i>();
            let (low, high) = (_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1)));
            let low = _mm256_cmpeq_epi16(_mm256_min_epu16(low, most), low);
            let high = _mm256_cmpeq_epi16(_mm256_min_epu16(high, most), high);
            // Packing takes turns between the operands for each half of a register.
            let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
            _mm256_movemask_epi8(bytes).cast_unsigned()
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn largest(self, a: __m256) -> f32 {
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

// SAFETY: as above.
impl Dot for Avx2 {
    type I32 = __m256i;

    const LANES: usize = 8;

    // 8 accumulators of 16 registers, the rest for weights and intermediate products.
    const DOT_ROWS: usize = 8;

    const SHIFT: u8 = 0;

    #[inline(always)]
    fn zeros(self) -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn dot(self, sums: __m256i, x: *const u8, w: *const i8) -> __m256i {
        unsafe {
            let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
            let pairs = _mm256_maddubs_epi16(x, _mm256_loadu_si256(w.cast()));
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn dot_halves(
        self,
        sums: __m256i,
        codes: *const u8,
        low: *const i8,
        high: *const i8,
    ) -> __m256i {
        unsafe {
            let (codes, mask) = (_mm256_loadu_si256(codes.cast()), _mm256_set1_epi8(15));
            let (lower, upper) = (
                _mm256_and_si256(codes, mask),
                _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask),
            );
            // Four products of at most 15 * 128: their sum fits into 16 bits.
            let pairs = _mm256_add_epi16(
                _mm256_maddubs_epi16(lower, _mm256_loadu_si256(low.cast())),
                _mm256_maddubs_epi16(upper, _mm256_loadu_si256(high.cast())),
            );
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn add_where(self, sums: __m256i, values: &[i8; 64], bits: u64) -> __m256i {
        unsafe {
            // Each byte of four is repeated eight times, and compared with its eight bits.
            let bytes = _mm256_setr_epi64x(
                0,
                0x0101_0101_0101_0101,
                0x0202_0202_0202_0202,
                0x0303_0303_0303_0303,
            );
            let places = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
            let from = values.as_ptr().cast::<__m256i>();
            let set = |bits: u64, values: __m256i| {
                let bits = _mm256_shuffle_epi8(_mm256_set1_epi32(bits as i32), bytes);
                let mask = _mm256_cmpeq_epi8(_mm256_and_si256(bits, places), places);
                _mm256_maddubs_epi16(_mm256_set1_epi8(1), _mm256_and_si256(mask, values))
            };
            let low = set(bits, _mm256_loadu_si256(from));
            let pairs = _mm256_add_epi16(low, set(bits >> 32, _mm256_loadu_si256(from.add(1))));
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn total(self, sums: __m256i) -> i32 {
        unsafe {
            let four =
                _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
        }
    }

    #[inline(always)]
    unsafe fn store_sums(self, to: *mut i32, sums: __m256i) {
        unsafe { _mm256_storeu_si256(to.cast(), sums) }
    }
}
