//! Products of rows with a weight stored in panels of 32 features, `[features / 32, inputs, 32]`.
//!
//! An element of the output is its bias plus one product after the other in the order of inputs,
//! whatever the tile, the other rows and the number of threads: its bits depend on its row alone.
#![expect(unsafe_code, reason = "a tile reads and writes through pointers in its innermost loop")]

use super::activation::Activation;
use super::simd::{Dot, Simd, Task};
use super::team::Shared;

/// Features of a panel.
pub const PANEL: usize = 32;

/// How far ahead of its use a weight is asked for, in values: what memory needs to answer.
const PREFETCH: usize = 512;

/// Rows that a task multiplies with one panel: the panel stays in the second cache for them, and a
/// large pass has tasks enough for many threads.
pub(super) const TASK_ROWS: usize = 98;

/// What becomes of a product's elements.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    pub(super) activation: Activation,
    /// `[rows, features]`, added after the activation.
    pub(super) residual: Option<&'a [f32]>,
}

/// One panel times some rows.
pub(super) struct PanelTask<'a> {
    /// `[inputs, 32]`.
    pub(super) panel: &'a [f32],
    /// `[features]` from the panel's first feature on: at most 32.
    pub(super) bias: &'a [f32],
    /// `[rows, inputs]` of the whole product.
    pub(super) x: &'a [f32],
    /// `[rows, features]` of the whole product.
    pub(super) out: Shared<'a, f32>,
    pub(super) features: usize,
    pub(super) first_feature: usize,
    /// The rows of this task.
    pub(super) rows: std::ops::Range<usize>,
    pub(super) finish: Finish<'a>,
}

impl Task for PanelTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let inputs = self.panel.len() / PANEL;
        let columns = (self.features - self.first_feature).min(PANEL);
        let mut bias = [0.0; PANEL];
        bias[..columns].copy_from_slice(&self.bias[..columns]);
        let x = &self.x[self.rows.start * inputs..self.rows.end * inputs];
        let plain = columns == PANEL
            && self.finish.activation == Activation::Identity
            && self.finish.residual.is_none();
        let mut buffer = [0.0; MOST_ROWS * PANEL];
        let rows = self.rows.len();
        let tiles = rows.div_ceil(S::TILE_ROWS);
        let mut done = 0;
        for index in 0..tiles {
            let height = (rows - done).div_ceil(tiles - index);
            let row = self.rows.start + done;
            let tile = Tile {
                weights: self.panel.as_ptr(),
                inputs,
                bias: bias.as_ptr(),
                x: x[done * inputs..].as_ptr(),
                x_stride: inputs,
            };
            if plain {
                // SAFETY: the panel, the bias and the rows are within their slices, whose lengths
                // `Product::check` compared; this task alone writes these rows of these features.
                unsafe {
                    let out = self.out.start().add(row * self.features + self.first_feature);
                    tile.run(s, height, out, self.features);
                }
            } else {
                // SAFETY: as above; the buffer has room for the tallest tile.
                unsafe { tile.run(s, height, buffer.as_mut_ptr(), PANEL) };
                for (index, values) in buffer.chunks_exact_mut(PANEL).take(height).enumerate() {
                    let start = (row + index) * self.features + self.first_feature;
                    self.finish.apply(s, values, start..start + columns);
                    // SAFETY: within the output, and this task's alone, as above.
                    unsafe {
                        let out = self.out.start().add(start);
                        out.copy_from_nonoverlapping(values.as_ptr(), columns);
                    }
                }
            }
            done += height;
        }
    }
}

impl Finish<'_> {
    /// Finishes one row of a panel; `place` is where it belongs in the output, and the residual.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(
        &self,
        s: S,
        values: &mut [f32],
        place: std::ops::Range<usize>,
    ) {
        if self.activation != Activation::Identity {
            for chunk in values.chunks_exact_mut(S::WIDTH) {
                // SAFETY: a chunk is one register long.
                unsafe {
                    let x = s.load(chunk.as_ptr());
                    s.store(chunk.as_mut_ptr(), self.activation.of(s, x));
                }
            }
        }
        if let Some(residual) = self.residual {
            for (value, residual) in values.iter_mut().zip(&residual[place]) {
                *value += residual;
            }
        }
    }
}

/// The tallest tile of any instruction set.
const MOST_ROWS: usize = 14;

/// Some rows times one panel.
pub(super) struct Tile {
    /// `[inputs, 32]`.
    pub(super) weights: *const f32,
    pub(super) inputs: usize,
    /// `[32]`.
    pub(super) bias: *const f32,
    /// `[height, inputs]`, rows `x_stride` apart.
    pub(super) x: *const f32,
    pub(super) x_stride: usize,
}

impl Tile {
    /// Writes `[height, 32]` to `out`, rows `out_stride` apart.
    ///
    /// # Safety
    /// The pointers must be valid for what their fields say, `out` for writing; `height` is at most
    /// `S::TILE_ROWS`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(
        &self,
        s: S,
        height: usize,
        out: *mut f32,
        out_stride: usize,
    ) {
        for part in (0..PANEL).step_by(2 * S::WIDTH) {
            macro_rules! heights {
                ($($rows:literal)*) => {
                    match height {
                        // The heights that an instruction set does not have are no code.
                        $($rows if S::TILE_ROWS >= $rows => {
                            // SAFETY: the caller's.
                            unsafe { self.part::<S, $rows>(s, part, out, out_stride) }
                        })*
                        _ => {}
                    }
                };
            }
            heights!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
    }

    /// Two registers' width of a tile.
    ///
    /// # Safety
    /// As [`run`](Self::run), of which it is a part.
    #[inline(always)]
    unsafe fn part<S: Simd, const ROWS: usize>(
        &self,
        s: S,
        part: usize,
        out: *mut f32,
        out_stride: usize,
    ) {
        // SAFETY: by the contract, and a part of two registers lies within a panel's 32 values.
        // Prefetching past the end is allowed: the address is not read.
        unsafe {
            let weights = self.weights.add(part);
            let bias = [s.load(self.bias.add(part)), s.load(self.bias.add(part + S::WIDTH))];
            let mut sums = [bias; ROWS];
            for input in 0..self.inputs {
                let at = weights.add(input * PANEL);
                let (low, high) = (s.load(at), s.load(at.add(S::WIDTH)));
                s.prefetch(at.wrapping_add(PREFETCH));
                if S::WIDTH == 16 {
                    s.prefetch(at.wrapping_add(PREFETCH + 16));
                }
                for row in 0..ROWS {
                    let x = s.splat(*self.x.add(row * self.x_stride + input));
                    sums[row][0] = s.mul_add(low, x, sums[row][0]);
                    sums[row][1] = s.mul_add(high, x, sums[row][1]);
                }
            }
            for (row, [low, high]) in sums.into_iter().enumerate() {
                let to = out.add(row * out_stride + part);
                s.store(to, low);
                s.store(to.add(S::WIDTH), high);
            }
        }
    }
}
