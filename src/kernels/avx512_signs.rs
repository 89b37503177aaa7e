//! Different bits of rows of 384, 768 or 1,536 bits, with two further extensions of AVX-512.
#![expect(unsafe_code, reason = "intrinsics; each SAFETY comment names the proof")]

use std::arch::x86_64::*;

use super::avx512::Avx512;

/// Proof that the processor has VBMI and VPOPCNTDQ besides what [`Avx512`] proves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512Signs(());

/// Words that are counted as one group: six counts of 64 bits fit into the eight bytes of a lane.
const GROUP: usize = 6;

/// Groups of a step: one for each lane.
const GROUPS: usize = 8;

/// Words of a step: six registers.
const STEP: usize = GROUP * GROUPS;

/// Words after which the registers of a query repeat.
const PERIOD: usize = 24;

impl Avx512Signs {
    pub(super) fn detect(_: Avx512) -> Option<Self> {
        let present =
            is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512vpopcntdq");
        present.then_some(Self(()))
    }

    /// Writes to `out`, `[rows]`, the number of bits in which rows `[rows, words]` differ from a query `[words]`, and
    /// returns for how many rows it has done so: all but fewer than eight at the end, or none for other lengths than
    /// 6, 12 and 24 words.
    pub(super) fn hamming(self, query: &[u64], rows: &[u64], out: &mut [u16]) -> usize {
        match query.len() {
            6 => self.rows_of::<1>(query, rows, out),
            12 => self.rows_of::<2>(query, rows, out),
            24 => self.rows_of::<4>(query, rows, out),
            _ => 0,
        }
    }

    /// The same for rows of this number of groups.
    fn rows_of<const ROW: usize>(self, query: &[u64], rows: &[u64], out: &mut [u16]) -> usize {
        let pattern: [u64; PERIOD] = std::array::from_fn(|word| query[word % query.len()]);
        let (steps, _) = rows.as_chunks::<STEP>();
        if ROW == 1 {
            let (out, _) = out.as_chunks_mut();
            // SAFETY: the processor has these instructions, here and below.
            unsafe { count(&pattern, steps, out) };
            return steps.len() * GROUPS;
        }
        let mut sums = [[0; GROUPS]; BLOCK];
        let rows_of_step = GROUPS / ROW;
        for (steps, out) in steps.chunks(BLOCK).zip(out.chunks_mut(BLOCK * rows_of_step)) {
            // SAFETY: as above.
            unsafe { count(&pattern, steps, &mut sums) };
            let (groups, _) = sums.as_flattened().as_chunks::<ROW>();
            for (out, groups) in out.iter_mut().zip(groups).take(steps.len() * rows_of_step) {
                *out = groups.iter().sum();
            }
        }
        steps.len() * rows_of_step
    }
}

/// Steps between two copies of sums.
const BLOCK: usize = 16;

/// Counts the different bits of each group of steps.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vpopcntdq")]
fn count(query: &[u64; PERIOD], steps: &[[u64; STEP]], sums: &mut [[u16; GROUPS]]) {
    // Byte `register` of lane `lane` will have the count of word `8 * register + lane`. This order brings the counts
    // of a group into one lane.
    let order: [u8; 64] = std::array::from_fn(|byte| {
        let word = byte / 8 * GROUP + byte % 8;
        (word % 8 * 8 + word / 8) as u8
    });
    // The first six bytes of each lane.
    let used = 0x3f3f_3f3f_3f3f_3f3f;
    // SAFETY: each access is within an array of its length.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        let query = query.as_ptr();
        let query = [
            _mm512_loadu_si512(query.cast()),
            _mm512_loadu_si512(query.add(8).cast()),
            _mm512_loadu_si512(query.add(16).cast()),
        ];
        for (step, sums) in steps.iter().zip(sums) {
            let mut counts = [_mm512_setzero_si512(); GROUP];
            for (register, counts) in counts.iter_mut().enumerate() {
                let words = _mm512_loadu_si512(step.as_ptr().add(8 * register).cast());
                *counts = _mm512_popcnt_epi64(_mm512_xor_si512(words, query[register % 3]));
            }
            let [a, b, c, d, e, f] = counts;
            let ab = _mm512_or_si512(a, _mm512_slli_epi64::<8>(b));
            let cd = _mm512_or_si512(c, _mm512_slli_epi64::<8>(d));
            let ef = _mm512_or_si512(e, _mm512_slli_epi64::<8>(f));
            let cdef = _mm512_or_si512(_mm512_slli_epi64::<16>(cd), _mm512_slli_epi64::<32>(ef));
            let groups = _mm512_maskz_permutexvar_epi8(used, order, _mm512_or_si512(ab, cdef));
            let totals = _mm512_sad_epu8(groups, _mm512_setzero_si512());
            _mm_storeu_si128(sums.as_mut_ptr().cast(), _mm512_cvtepi64_epi16(totals));
        }
    }
}
