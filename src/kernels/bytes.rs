//! Products of rows in 8 bits: activations with a scale for each row, weights with one for each
//! feature, stored in panels of 16 features, `[features / 16, inputs / 4, 16, 4]`.
//!
//! Sums are integers, so their order cannot matter; the rest depends on one row alone.
#![expect(unsafe_code, reason = "a tile reads and writes through pointers in its innermost loop")]

use std::ops::Range;

use super::product::Finish;
use super::simd::{Dot, PAGE, PAGES_AHEAD, Task};
use super::team::Shared;

/// Features of a panel.
pub const BYTE_PANEL: usize = 16;

/// Inputs that one instruction multiplies.
pub const GROUP: usize = 4;

/// Which values activations have, and so how 256 steps are laid over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// As many below zero as above.
    Centered,
    /// Outputs of Gelu, its approximation or Relu: nowhere below -0.171, with no largest value.
    Activated,
}

/// The least value of Gelu, and of its approximation by tanh, rounded down.
const LEAST_ACTIVATED: f32 = -0.171;

/// The least scale of a row of zeros: it divides.
const LEAST_SCALE: f32 = 1e-12;

impl ByteRange {
    /// The byte that means zero.
    pub(super) const fn zero(self) -> u8 {
        match self {
            Self::Centered => 128,
            Self::Activated => 16,
        }
    }

    fn least_scale(self) -> f32 {
        match self {
            Self::Centered => LEAST_SCALE,
            Self::Activated => -LEAST_ACTIVATED / f32::from(self.zero()),
        }
    }
}

/// Returns the bytes of a row with this number of inputs, padded to whole groups.
pub(super) const fn row_bytes(inputs: usize) -> usize {
    inputs.next_multiple_of(GROUP)
}

/// Some rows to bytes.
pub(super) struct QuantizeTask<'a> {
    /// `[rows, inputs]` of the whole product.
    pub(super) x: &'a [f32],
    /// `[inputs]`: what to multiply each input by first.
    pub(super) factors: &'a [f32],
    pub(super) range: ByteRange,
    /// `[rows, row_bytes(inputs)]` of the whole product.
    pub(super) bytes: Shared<'a, u8>,
    /// `[rows]` of the whole product.
    pub(super) scales: Shared<'a, f32>,
    /// The rows of this task.
    pub(super) rows: Range<usize>,
}

impl Task for QuantizeTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let inputs = self.factors.len();
        let (whole, width) = (inputs - inputs % S::WIDTH, row_bytes(inputs));
        let zero = self.range.zero();
        let steps = f32::from(u8::MAX - zero);
        let centered = self.range == ByteRange::Centered;
        for row in self.rows {
            let x = &self.x[row * inputs..][..inputs];
            let mut most = s.splat(0.0);
            for (x, factor) in
                x[..whole].chunks_exact(S::WIDTH).zip(self.factors.chunks_exact(S::WIDTH))
            {
                // SAFETY: a chunk is one register long, here and below.
                let even = unsafe { s.mul(s.load(x.as_ptr()), s.load(factor.as_ptr())) };
                most = s.max(most, if centered { s.abs(even) } else { even });
            }
            let mut largest = s.largest(most);
            for (x, factor) in x[whole..].iter().zip(&self.factors[whole..]) {
                let even = x * factor;
                largest = largest.max(if centered { even.abs() } else { even });
            }
            let scale = (largest / steps).max(self.range.least_scale());
            let inverse = 1.0 / scale;
            // SAFETY: this task's rows, and within the slices, whose lengths were compared.
            let bytes = unsafe {
                self.scales.start().add(row).write(scale);
                self.bytes.part(row * width..(row + 1) * width)
            };
            let (low, high) = (s.splat(-f32::from(zero)), s.splat(steps));
            let inverses = s.splat(inverse);
            let mut rounded = [0.0f32; 16];
            let chunks = x[..whole].chunks_exact(S::WIDTH);
            let chunks = chunks.zip(self.factors.chunks_exact(S::WIDTH));
            for ((x, factor), bytes) in chunks.zip(bytes.chunks_exact_mut(S::WIDTH)) {
                // SAFETY: as above.
                unsafe {
                    let even = s.mul(s.load(x.as_ptr()), s.load(factor.as_ptr()));
                    let steps = s.round(s.min(s.max(s.mul(even, inverses), low), high));
                    s.store(rounded.as_mut_ptr(), steps);
                }
                for (byte, &value) in bytes.iter_mut().zip(&rounded) {
                    *byte = byte_of::<S>(value, zero);
                }
            }
            let tail = x[whole..].iter().zip(&self.factors[whole..]);
            for ((x, factor), byte) in tail.zip(&mut bytes[whole..]) {
                let value = (x * factor * inverse).clamp(-f32::from(zero), steps);
                *byte = byte_of::<S>(value.round_ties_even(), zero);
            }
        }
    }
}

#[inline(always)]
fn byte_of<S: Dot>(value: f32, zero: u8) -> u8 {
    ((value as i32 + i32::from(zero)) as u8).wrapping_sub(S::SHIFT)
}

/// One panel times some rows.
pub(super) struct BytePanelTask<'a> {
    /// `[inputs / 4, 16, 4]`.
    pub(super) panel: &'a [i8],
    /// `[features]` from the panel's first feature on, as the next two: at most 16.
    pub(super) scales: &'a [f32],
    /// Sums of the weights of a feature.
    pub(super) sums: &'a [i32],
    pub(super) bias: &'a [f32],
    /// `[rows, row_bytes(inputs)]` of the whole product.
    pub(super) bytes: &'a [u8],
    /// `[rows]` of the whole product.
    pub(super) row_scales: &'a [f32],
    pub(super) range: ByteRange,
    /// `[rows, features]` of the whole product.
    pub(super) out: Shared<'a, f32>,
    pub(super) features: usize,
    pub(super) first_feature: usize,
    /// The rows of this task.
    pub(super) rows: Range<usize>,
    pub(super) finish: Finish<'a>,
}

/// The tallest tile of any instruction set.
pub(super) const MOST_ROWS: usize = 16;

impl Task for BytePanelTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let width = self.panel.len() / BYTE_PANEL;
        let columns = (self.features - self.first_feature).min(BYTE_PANEL);
        let (mut scales, mut bias) = ([0.0f32; BYTE_PANEL], [0.0f32; BYTE_PANEL]);
        let mut zeros = [0i32; BYTE_PANEL];
        scales[..columns].copy_from_slice(&self.scales[..columns]);
        bias[..columns].copy_from_slice(&self.bias[..columns]);
        let zero = i32::from(S::SHIFT) - i32::from(self.range.zero());
        for (to, &sum) in zeros.iter_mut().zip(&self.sums[..columns]) {
            *to = zero * sum;
        }
        let bytes = &self.bytes[self.rows.start * width..self.rows.end * width];
        let mut sums = [0i32; MOST_ROWS * BYTE_PANEL];
        let rows = self.rows.len();
        let tiles = rows.div_ceil(S::DOT_ROWS);
        let mut done = 0;
        for index in 0..tiles {
            let height = (rows - done).div_ceil(tiles - index);
            // SAFETY: the panel and the rows are within their slices, whose lengths were compared;
            // there is room for the sums of the tallest tile.
            unsafe {
                let x = bytes[done * width..].as_ptr();
                tile(s, height, self.panel.as_ptr(), width, x, sums.as_mut_ptr());
            }
            for (index, sums) in sums.chunks_exact(BYTE_PANEL).take(height).enumerate() {
                let row = self.rows.start + done + index;
                let row_scale = self.row_scales[row];
                let mut values = [0.0f32; BYTE_PANEL];
                for i in 0..BYTE_PANEL {
                    values[i] = (sums[i] + zeros[i]) as f32 * (scales[i] * row_scale) + bias[i];
                }
                let start = row * self.features + self.first_feature;
                self.finish.apply(s, &mut values, start..start + columns);
                // SAFETY: within the output; these features of these rows are this task's alone.
                unsafe {
                    let out = self.out.start().add(start);
                    match columns {
                        // A known length is copied without a call.
                        BYTE_PANEL => out.copy_from_nonoverlapping(values.as_ptr(), BYTE_PANEL),
                        _ => out.copy_from_nonoverlapping(values.as_ptr(), columns),
                    }
                }
            }
            done += height;
        }
    }
}

/// Writes `[height, 16]` sums of the products of rows with a panel.
///
/// # Safety
/// `panel` is valid for reading `[width / 4, 16, 4]` bytes, `x` for `[height, width]`, and `sums` for
/// writing; `height` is at most `S::DOT_ROWS`.
#[inline(always)]
pub(super) unsafe fn tile<S: Dot>(
    s: S,
    height: usize,
    panel: *const i8,
    width: usize,
    x: *const u8,
    sums: *mut i32,
) {
    for part in (0..BYTE_PANEL).step_by(S::LANES) {
        macro_rules! heights {
            ($($rows:literal)*) => {
                match height {
                    // The heights that an instruction set does not have are no code.
                    $($rows if S::DOT_ROWS >= $rows => {
                        // SAFETY: the caller's; a part is a register's features of the panel.
                        unsafe {
                            tile_part::<S, $rows>(s, panel.add(part * GROUP), width, x, sums.add(part));
                        }
                    })*
                    _ => {}
                }
            };
        }
        heights!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    }
}

/// One register's width of a tile.
///
/// # Safety
/// As [`tile`], of which it is a part.
#[inline(always)]
unsafe fn tile_part<S: Dot, const ROWS: usize>(
    s: S,
    panel: *const i8,
    width: usize,
    x: *const u8,
    sums: *mut i32,
) {
    let mut totals = [s.zeros(); ROWS];
    // SAFETY: by the contract.
    unsafe {
        for input in (0..width).step_by(GROUP) {
            let weights = panel.add(input * BYTE_PANEL);
            let ahead = weights.wrapping_add(AHEAD_BYTES);
            if input % (PAGE / BYTE_PANEL) == 0 {
                // As for the weights in f32: this one makes the processor look up the address of the page.
                s.prefetch(ahead.wrapping_add(PAGES_AHEAD).cast());
            }
            s.prefetch_far(ahead.cast());
            for (row, total) in totals.iter_mut().enumerate() {
                *total = s.dot(*total, x.add(row * width + input), weights);
            }
        }
        for (row, total) in totals.into_iter().enumerate() {
            s.store_sums(sums.add(row * BYTE_PANEL), total);
        }
    }
}

/// How far ahead of its use a weight is requested.
const AHEAD_BYTES: usize = 8_192;
