//! Products of rows with a weight stored in panels of 32 features, `[features / 32, inputs, 32]`.
//!
//! An element of the output is its bias plus one product after the other in the order of inputs,
//! for any tile, any other rows and any number of threads: its bits depend on its row alone.
#![expect(unsafe_code, reason = "a tile reads and writes through pointers in its innermost loop")]

use super::activation::Activation;
use super::simd::{CACHE_LINE, Dot, PAGE, PAGES_AHEAD, Simd, Task};
use super::team::Shared;

/// Features of a panel.
pub const PANEL: usize = 32;

/// How far ahead of its use a weight is requested where a tile reads its panel once, in values: 16 KiB.
const AHEAD: usize = 4_096;

/// Inputs whose weights are multiplied between two groups of requests to memory.
const BLOCK: usize = 8;

/// Values in a line of the cache.
const LINE: usize = CACHE_LINE / size_of::<f32>();

/// Weights in a page of memory.
const PAGE_VALUES: usize = PAGE / size_of::<f32>();

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
        let inputs = self.inputs;
        let panel = self.panel;
        let columns = (self.features - self.first_feature).min(PANEL);
        let mut narrow = [0.0; PANEL];
        let bias = self.bias.first_chunk().unwrap_or_else(|| {
            narrow[..columns].copy_from_slice(&self.bias[..columns]);
            &narrow
        });
        let x = &self.x[self.rows.start * inputs..self.rows.end * inputs];
        let mut buffer = [0.0; MOST_ROWS * PANEL];
        let rows = self.rows.len();
        let tiles = rows.div_ceil(S::TILE_ROWS);
        let mut done = 0;
        for index in 0..tiles {
            let height = (rows - done).div_ceil(tiles - index);
            let row = self.rows.start + done;
            let rows = (x[done * inputs..].as_ptr(), inputs);
            let operands = (panel, bias);
            if columns == PANEL {
                let start = row * self.features + self.first_feature;
                // SAFETY: the rows are within `x` and the output, whose lengths `Kernels::product`
                // compared; this task alone writes these features of these rows.
                let tile = unsafe {
                    let out = self.out.start().add(start);
                    Tile::new(operands, rows, height, (out, self.features))
                };
                s.enter(tile.in_turn(index, tiles));
                for start in (start..).step_by(self.features).take(height) {
                    let place = start..start + PANEL;
                    // SAFETY: as above; the tile has been written.
                    let values = unsafe { self.out.part(place.clone()) };
                    self.finish.apply(s, values, place);
                }
            } else {
                // SAFETY: as above; the buffer has room for the tallest tile.
                let tile =
                    unsafe { Tile::new(operands, rows, height, (buffer.as_mut_ptr(), PANEL)) };
                s.enter(tile);
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
    pub(super) fn apply<S: Simd>(&self, s: S, values: &mut [f32], place: std::ops::Range<usize>) {
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

/// Some rows times one panel. It is a task, so that its code exists once for each instruction set.
pub(super) struct Tile {
    /// `[inputs, 32]`.
    weights: *const f32,
    inputs: usize,
    /// `[32]`.
    bias: *const f32,
    /// `[height, inputs]`, rows `x_stride` apart.
    x: *const f32,
    x_stride: usize,
    /// At most `TILE_ROWS`.
    height: usize,
    /// `[height, 32]`, rows `out_stride` apart.
    out: *mut f32,
    out_stride: usize,
    /// The number of this tile, and of all tiles that multiply this panel one after the other. None if the panel
    /// is in a cache already, so that nothing is requested from memory.
    turn: Option<(usize, usize)>,
}

impl Tile {
    /// Returns the tile of these operands: a panel `[inputs, 32]`, a bias `[32]`, and `height` rows of
    /// `inputs` values, `x_stride` apart. Its output is `height` rows of 32 values, `out_stride` apart.
    ///
    /// # Safety
    /// When the tile runs, `x` must be valid for reading these rows, and `out` for writing its rows.
    pub(super) unsafe fn new(
        (panel, bias): (&[f32], &[f32; PANEL]),
        (x, x_stride): (*const f32, usize),
        height: usize,
        (out, out_stride): (*mut f32, usize),
    ) -> Self {
        let inputs = panel.len() / PANEL;
        let (weights, bias) = (panel.as_ptr(), bias.as_ptr());
        Self { weights, inputs, bias, x, x_stride, height, out, out_stride, turn: None }
    }

    /// Returns the tile as number `index` of `tiles` that multiply a panel in memory one after the other.
    #[inline(always)]
    fn in_turn(self, index: usize, tiles: usize) -> Self {
        Self { turn: Some((index, tiles)), ..self }
    }

    /// Returns where this part starts to request weights from memory, counted from the start of this panel, and how
    /// many it requests for each input, both in values.
    ///
    /// An instruction set whose two registers are narrower than a panel reads the panel in parts, so it reads it
    /// several times. The first readings share the requests for the next panel. Without this, the first reading
    /// waits for memory, and memory waits for the others.
    #[inline(always)]
    fn requests<S: Simd>(&self, part: usize) -> (usize, usize) {
        let parts = PANEL / (2 * S::WIDTH);
        let Some((index, tiles)) = self.turn else { return (0, 0) };
        if parts == 1 {
            return (AHEAD, if index == 0 { PANEL } else { 0 });
        }
        let (reading, readings) = (index * parts + part / (2 * S::WIDTH), tiles * parts);
        // The first four readings, or the first two, request each cache line of the next panel once.
        let step = match readings.min(4) {
            4 if reading < 4 => PANEL / 4,
            2 | 3 if reading < 2 => PANEL / 2,
            _ => 0,
        };
        // The next panel follows this one.
        (self.inputs * (PANEL + reading * step), step)
    }
}

impl Task for Tile {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        for part in (0..PANEL).step_by(2 * S::WIDTH) {
            macro_rules! heights {
                ($($rows:literal)*) => {
                    match self.height {
                        // The heights that an instruction set does not have are no code.
                        $($rows if S::TILE_ROWS >= $rows => {
                            // SAFETY: the contract of `new`.
                            unsafe { self.part::<S, $rows>(s, part) }
                        })*
                        _ => {}
                    }
                };
            }
            heights!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
    }
}

impl Tile {
    /// Two registers' width of a tile.
    ///
    /// # Safety
    /// As [`new`](Self::new), with `ROWS` as the height.
    #[inline(always)]
    unsafe fn part<S: Simd, const ROWS: usize>(&self, s: S, part: usize) {
        // SAFETY: by the contract, and a part of two registers is within the 32 values of a panel. A request is a
        // hint: its address may be past the end.
        unsafe {
            let weights = self.weights.add(part);
            let bias = [s.load(self.bias.add(part)), s.load(self.bias.add(part + S::WIDTH))];
            let mut sums = [bias; ROWS];
            let (mut ahead, step) = self.requests::<S>(part);
            // A power of two, as both are.
            let inputs_in_page = PAGE_VALUES / step.max(1);
            let whole = self.inputs - self.inputs % BLOCK;
            for start in (0..whole).step_by(BLOCK) {
                if step > 0 {
                    if start & (inputs_in_page - 1) == 0 {
                        // A request for the second cache is dropped if the address of its page is not known yet. This
                        // one makes the processor look the address up. ADR 0010 has the measurement.
                        s.prefetch(self.weights.wrapping_add(ahead).wrapping_byte_add(PAGES_AHEAD));
                    }
                    for line in (0..step * BLOCK).step_by(LINE) {
                        s.prefetch_far(self.weights.wrapping_add(ahead + line));
                    }
                    ahead += step * BLOCK;
                }
                for input in start..start + BLOCK {
                    self.add(s, weights, input, &mut sums);
                }
            }
            for input in whole..self.inputs {
                self.add(s, weights, input, &mut sums);
            }
            for (row, [low, high]) in sums.into_iter().enumerate() {
                let to = self.out.add(row * self.out_stride + part);
                s.store(to, low);
                s.store(to.add(S::WIDTH), high);
            }
        }
    }

    /// Adds the products of one input to the sums of a part, whose first weight is `weights`.
    ///
    /// # Safety
    /// As [`part`](Self::part); `input` is below `inputs`.
    #[inline(always)]
    unsafe fn add<S: Simd, const ROWS: usize>(
        &self,
        s: S,
        weights: *const f32,
        input: usize,
        sums: &mut [[S::F32; 2]; ROWS],
    ) {
        // SAFETY: by the contract.
        unsafe {
            let at = weights.add(input * PANEL);
            let (low, high) = (s.load(at), s.load(at.add(S::WIDTH)));
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = s.splat(*self.x.add(row * self.x_stride + input));
                sums[0] = s.mul_add(low, x, sums[0]);
                sums[1] = s.mul_add(high, x, sums[1]);
            }
        }
    }
}
