//! Products of rows with a weight stored in panels of 32 features, `[features / 32, inputs, 32]`.
//!
//! An element of the output is its bias plus one product after the other in the order of inputs,
//! for any tile, any other rows and any number of threads: its bits depend on its row alone.
#![expect(unsafe_code, reason = "tasks write disjoint parts of one output through pointers")]

use std::ops::Range;

use super::activation::Activation;
use super::simd::{Dot, Simd, Task};
use super::team::Shared;
use super::tile::{MOST_ROWS, PANEL, Tile, parts};

/// The most inputs that all tiles multiply before they go on, where a panel is read in parts. Several tiles then read
/// these weights, 48 KiB, from the nearer caches.
const DEPTH: usize = 384;

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
    pub(super) inputs: usize,
    /// `[features]` from the panel's first feature on.
    pub(super) bias: &'a [f32],
    /// `[rows, inputs]` of the whole product.
    pub(super) x: &'a [f32],
    /// `[rows, features]` of the whole product.
    pub(super) out: Shared<'a, f32>,
    pub(super) features: usize,
    pub(super) first_feature: usize,
    /// The rows of this task.
    pub(super) rows: Range<usize>,
    pub(super) finish: Finish<'a>,
}

impl Task for PanelTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        match self.bias.first_chunk() {
            Some(bias) => self.whole(s, bias),
            None => self.narrow(s),
        }
    }
}

impl PanelTask<'_> {
    /// Multiplies with a panel that has 32 features.
    #[inline(always)]
    fn whole<S: Dot>(&self, s: S, bias: &[f32; PANEL]) {
        let inputs = self.inputs;
        let depths = if parts::<S>() == 1 { 1 } else { inputs.div_ceil(DEPTH).max(1) };
        for depth in 0..depths {
            let (start, end) = (inputs * depth / depths, inputs * (depth + 1) / depths);
            let panel = &self.panel[start * PANEL..end * PANEL];
            let tiles = self.tiles::<S>();
            for (index, rows) in tiles.enumerate() {
                let height = rows.len();
                let first = rows.start * self.features + self.first_feature;
                let x = &self.x[rows.start * inputs..rows.end * inputs];
                // SAFETY: the rows are within `x` and the output, whose lengths `Kernels::product` compared; this task
                // alone writes these features of these rows.
                let tile = unsafe {
                    let out = self.out.start().add(first);
                    let x = x.as_ptr().add(start);
                    Tile::new((panel, bias), (x, inputs), height, (out, self.features))
                };
                s.enter(tile.in_turn(index, self.tile_count::<S>()).going_on(depth > 0));
                if depth + 1 < depths {
                    continue;
                }
                for first in (first..).step_by(self.features).take(height) {
                    let place = first..first + PANEL;
                    // SAFETY: as above; the tile has been written.
                    let values = unsafe { self.out.part(place.clone()) };
                    self.finish.apply(s, values, place);
                }
            }
        }
    }

    /// Multiplies with the last panel of a product, which has fewer features.
    #[inline(always)]
    fn narrow<S: Dot>(&self, s: S) {
        let (inputs, columns) = (self.inputs, self.bias.len());
        let (mut bias, mut buffer) = ([0.0; PANEL], [0.0; MOST_ROWS * PANEL]);
        bias[..columns].copy_from_slice(self.bias);
        for rows in self.tiles::<S>() {
            let x = &self.x[rows.start * inputs..rows.end * inputs];
            // SAFETY: the rows are within `x`; the buffer has room for the tallest tile.
            let tile = unsafe {
                let out = (buffer.as_mut_ptr(), PANEL);
                Tile::new((self.panel, &bias), (x.as_ptr(), inputs), rows.len(), out)
            };
            s.enter(tile);
            for (row, values) in rows.zip(buffer.chunks_exact_mut(PANEL)) {
                let start = row * self.features + self.first_feature;
                self.finish.apply(s, values, start..start + columns);
                // SAFETY: within the output, and this task's alone, as above.
                unsafe {
                    let out = self.out.start().add(start);
                    out.copy_from_nonoverlapping(values.as_ptr(), columns);
                }
            }
        }
    }

    /// The number of tiles.
    #[inline(always)]
    fn tile_count<S: Simd>(&self) -> usize {
        self.rows.len().div_ceil(S::TILE_ROWS)
    }

    /// The rows of each tile: about the same number, and none has more than the first.
    #[inline(always)]
    fn tiles<S: Simd>(&self) -> impl Iterator<Item = Range<usize>> {
        let Range { start, end } = self.rows;
        let count = self.tile_count::<S>();
        let first = move |tile: usize| start + ((end - start) * tile).div_ceil(count);
        (0..count).map(move |tile| first(tile)..first(tile + 1))
    }
}

impl Finish<'_> {
    /// Finishes one row of a panel; `place` is where it belongs in the output, and the residual.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(&self, s: S, values: &mut [f32], place: Range<usize>) {
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
