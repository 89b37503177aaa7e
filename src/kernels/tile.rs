//! Some rows times a panel of a weight, in registers.
#![expect(unsafe_code, reason = "a tile reads and writes through pointers in its innermost loop")]

use std::ops::Range;

use super::simd::{CACHE_LINE, Dot, LINE, PAGE, PAGES_AHEAD, Simd, Task};

/// Features of a panel.
pub const PANEL: usize = 32;

/// How far ahead of its use a weight is requested where a tile reads its panel once, in values: 16 KiB.
const AHEAD: usize = 4_096;

/// Inputs whose weights are multiplied between two groups of requests to memory.
const BLOCK: usize = 8;

/// Cache lines in a page of memory.
const PAGE_LINES: usize = PAGE / CACHE_LINE;

/// The tallest tile of any instruction set.
pub(super) const MOST_ROWS: usize = 14;

/// How many times a tile reads a panel: each time, two registers' width of it.
pub(super) const fn parts<S: Simd>() -> usize {
    PANEL / (2 * S::WIDTH)
}

/// Some rows times one panel, or times the weights of some inputs of a panel. It is a task, so that its code exists
/// once for each instruction set.
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
    /// Whether the sums start from those in `out`, not from the bias.
    goes_on: bool,
    /// The number of this tile, and of all tiles that multiply these weights one after the other. None if the weights
    /// are in a cache already, so that nothing is requested from memory.
    turn: Option<(usize, usize)>,
}

impl Tile {
    /// Returns the tile of these operands: weights `[inputs, 32]`, a bias `[32]`, and `height` rows of
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
        let (goes_on, turn) = (false, None);
        Self { weights, inputs, bias, x, x_stride, height, out, out_stride, goes_on, turn }
    }

    /// Returns the tile as number `index` of `tiles` that multiply weights in memory one after the other.
    #[inline(always)]
    pub(super) fn in_turn(self, index: usize, tiles: usize) -> Self {
        Self { turn: Some((index, tiles)), ..self }
    }

    /// Returns the tile with the sums in its output as the first ones, if there are any.
    #[inline(always)]
    pub(super) fn going_on(self, goes_on: bool) -> Self {
        Self { goes_on, ..self }
    }

    /// Returns where this part starts to request weights from memory, and how many cache lines it requests for each
    /// `BLOCK` of inputs: 0, 4, 8 or 16.
    ///
    /// An instruction set whose two registers are narrower than a panel reads the panel in parts, so it reads it
    /// several times. The first readings share the requests for the weights that follow. Without this, the first
    /// reading waits for memory, and memory waits for the others.
    #[inline(always)]
    fn requests<S: Simd>(&self, part: usize) -> (*const f32, usize) {
        let all = BLOCK * PANEL / LINE;
        let Some((index, tiles)) = self.turn else { return (self.weights, 0) };
        if parts::<S>() == 1 {
            return (self.weights.wrapping_add(AHEAD), if index == 0 { all } else { 0 });
        }
        let reading = index * parts::<S>() + part / (2 * S::WIDTH);
        // The first four readings, or the first two, request each cache line of the next weights once.
        let sharers = if tiles * parts::<S>() < 4 { 2 } else { 4 };
        let lines = if reading < sharers { all / sharers } else { 0 };
        // The next weights follow these.
        let ahead = self.inputs * (PANEL + reading * PANEL / sharers);
        (self.weights.wrapping_add(ahead), lines)
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
            let (first, first_stride) = match self.goes_on {
                true => (self.out.cast_const(), self.out_stride),
                false => (self.bias, 0),
            };
            let mut sums: [[S::F32; 2]; ROWS] = std::array::from_fn(|row| {
                let from = first.add(row * first_stride + part);
                [s.load(from), s.load(from.add(S::WIDTH))]
            });
            let (mut request, lines) = self.requests::<S>(part);
            let whole = self.inputs - self.inputs % BLOCK;
            s.align();
            for start in (0..whole).step_by(BLOCK) {
                if lines > 0 {
                    if (start / BLOCK * lines).is_multiple_of(PAGE_LINES) {
                        // A request for the second cache is dropped if the address of its page is not known yet. This
                        // one makes the processor look the address up. ADR 0010 has the measurement.
                        s.prefetch(request.wrapping_byte_add(PAGES_AHEAD));
                    }
                    // Before the block, without a loop: with few registers, a counter or an address that changes
                    // between two inputs would displace a sum.
                    if parts::<S>() > 1 {
                        request_lines(s, request, 0..4);
                        if lines > 4 {
                            request_lines(s, request, 4..8);
                        }
                        request = request.wrapping_add(lines * LINE);
                    }
                }
                for input in start..start + BLOCK {
                    // Two lines at a time: 16 at once have to wait for each other.
                    if parts::<S>() == 1 && lines > 0 {
                        request_lines(s, request, 0..PANEL / LINE);
                        request = request.wrapping_add(PANEL);
                    }
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

/// Requests some of the cache lines from an address on.
#[inline(always)]
fn request_lines<S: Simd>(s: S, from: *const f32, lines: Range<usize>) {
    for line in lines {
        s.prefetch_far(from.wrapping_add(line * LINE));
    }
}
