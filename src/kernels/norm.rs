//! Layer normalization of rows.
#![expect(unsafe_code, reason = "reads and writes whole registers of a row")]

use std::ops::Range;

use super::Norm;
use super::simd::{Dot, Task};
use super::team::Shared;

/// Rows of `[rows, features]`, normalized in place: `(x - mean) / sqrt(variance + epsilon) * scale +
/// shift`, with `scale` and `shift` of each feature.
pub(super) struct NormTask<'a> {
    /// `[rows, features]`.
    pub(super) out: Shared<'a, f32>,
    /// The rows of this task.
    pub(super) rows: Range<usize>,
    pub(super) norm: Norm<'a>,
}

impl Task for NormTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let Norm { scale: scales, shift: shifts, epsilon } = self.norm;
        let features = scales.len();
        let whole = features - features % S::WIDTH;
        // SAFETY: rows of the output that are this task's alone.
        let rows = unsafe { self.out.part(self.rows.start * features..self.rows.end * features) };
        for row in rows.chunks_exact_mut(features) {
            let mut sums = s.splat(0.0);
            for chunk in row[..whole].chunks_exact(S::WIDTH) {
                // SAFETY: a chunk is one register long, here and below.
                sums = s.add(sums, unsafe { s.load(chunk.as_ptr()) });
            }
            let mean = (s.sum(sums) + row[whole..].iter().sum::<f32>()) / features as f32;
            let means = s.splat(mean);
            let mut squares = s.splat(0.0);
            for chunk in row[..whole].chunks_exact(S::WIDTH) {
                // SAFETY: as above.
                let distance = s.sub(unsafe { s.load(chunk.as_ptr()) }, means);
                squares = s.mul_add(distance, distance, squares);
            }
            let tail: f32 = row[whole..].iter().map(|x| (x - mean) * (x - mean)).sum();
            let variance = (s.sum(squares) + tail) / features as f32;
            let factor = 1.0 / (variance + epsilon).sqrt();
            let factors = s.splat(factor);
            for (index, chunk) in row[..whole].chunks_exact_mut(S::WIDTH).enumerate() {
                let at = index * S::WIDTH;
                let (scale, shift) = (&scales[at..at + S::WIDTH], &shifts[at..at + S::WIDTH]);
                // SAFETY: as above.
                unsafe {
                    let distance = s.sub(s.load(chunk.as_ptr()), means);
                    let scaled = s.mul(s.mul(distance, factors), s.load(scale.as_ptr()));
                    s.store(chunk.as_mut_ptr(), s.add(scaled, s.load(shift.as_ptr())));
                }
            }
            let tail = row[whole..].iter_mut().zip(&scales[whole..]).zip(&shifts[whole..]);
            for ((x, scale), shift) in tail {
                *x = (*x - mean) * factor * scale + shift;
            }
        }
    }
}
