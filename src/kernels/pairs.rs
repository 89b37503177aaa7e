//! Products of all pairs of rows in 8 bits, to find those that can reach a score.
//!
//! Rows are quantized symmetrically. Their columns are stored in panels of 16 rows,
//! `[rows / 16, dim / 4, 16, 4]`, the same form as the weights of `bytes.rs`, whose tiles do the work.
#![expect(unsafe_code, reason = "a tile reads and writes through pointers in its innermost loop")]

use std::ops::Range;

use super::bytes::{BYTE_PANEL, MOST_ROWS, row_bytes, tile};
use super::simd::{Dot, Task};
use super::{InstructionSet, Kernels, LengthError, check};

/// Rows of a panel.
pub const PAIR_PANEL: usize = BYTE_PANEL;

/// The byte that means zero in a row of [`PairRows`].
const ZERO: u8 = 128;

/// Returns the size in bytes of a panel of rows with this number of dimensions.
#[must_use]
pub const fn pair_panel_bytes(dim: usize) -> usize {
    row_bytes(dim) * PAIR_PANEL
}

/// Rows in panels, with what a score needs. The slices have one entry for each row of the panels,
/// including the padding of the last panel.
#[derive(Clone, Copy, Debug)]
pub struct PairColumns<'a> {
    /// `[rows / 16, dim / 4, 16, 4]`, padded with zeros.
    pub panels: &'a [i8],
    /// `[rows]`: what the integers of a row are multiplied by.
    pub scales: &'a [f32],
    /// `[rows]`: the length of the difference between a row and its quantized form; minus infinity for
    /// padding, which then is no hit.
    pub errors: &'a [f32],
    /// `[rows]`: the sum of the integers of a row.
    pub sums: &'a [i32],
}

/// A block of rows, taken out of the panels, as the left operand.
#[derive(Clone, Debug, Default)]
pub struct PairRows {
    bytes: Vec<u8>,
    rows: Range<usize>,
    width: usize,
}

impl PairRows {
    /// Takes these rows out of the panels.
    pub fn fill(&mut self, kernels: Kernels, panels: &[i8], dim: usize, rows: Range<usize>) {
        let width = row_bytes(dim);
        let zero = ZERO.wrapping_sub(kernels.shift());
        self.bytes.clear();
        for row in rows.clone() {
            let start = row / PAIR_PANEL * width * PAIR_PANEL + row % PAIR_PANEL * 4;
            let groups = panels[start..].chunks(4 * PAIR_PANEL).take(width / 4);
            let values = groups.flat_map(|group| &group[..4]);
            self.bytes.extend(values.map(|&value| (value as u8).wrapping_add(zero)));
        }
        self.rows = rows;
        self.width = width;
    }
}

impl Kernels {
    /// The largest integer of a quantized row: sums of two products must fit the instructions.
    #[must_use]
    pub fn pair_steps(self) -> i8 {
        match self.instruction_set() {
            // Two adjacent products of an unsigned and a signed byte are added in 16 bits, saturating.
            InstructionSet::Avx2 => 63,
            _ => 127,
        }
    }

    fn shift(self) -> u8 {
        match self.instruction_set() {
            InstructionSet::Neon => 128,
            _ => 0,
        }
    }

    /// Appends to `hits` the pairs (row, column) with `row < column` whose score can reach `least`: the
    /// product of the quantized rows plus the largest error of both. `panels` are the panels to compare
    /// the rows with.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn pairs(
        self,
        rows: &PairRows,
        columns: PairColumns<'_>,
        panels: Range<usize>,
        least: f32,
        hits: &mut Vec<(u32, u32)>,
    ) -> Result<(), LengthError> {
        let padded = columns.scales.len();
        check("the panels", columns.panels.len(), padded * rows.width)?;
        check("the errors", columns.errors.len(), padded)?;
        check("the sums", columns.sums.len(), padded)?;
        check("the rows", rows.bytes.len(), rows.rows.len() * rows.width)?;
        if panels.end * PAIR_PANEL > padded || rows.rows.end > padded {
            let expected = padded / PAIR_PANEL;
            return Err(LengthError { operand: "the range", found: panels.end, expected });
        }
        self.enter(PairTask { rows, columns, panels, least, hits });
        Ok(())
    }
}

struct PairTask<'a> {
    rows: &'a PairRows,
    columns: PairColumns<'a>,
    panels: Range<usize>,
    least: f32,
    hits: &'a mut Vec<(u32, u32)>,
}

impl Task for PairTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let width = self.rows.width;
        let zero = i32::from(S::SHIFT) - i32::from(ZERO);
        let mut sums = [0i32; MOST_ROWS * BYTE_PANEL];
        let (first_row, count) = (self.rows.rows.start, self.rows.rows.len());
        for panel in self.panels {
            let first = panel * PAIR_PANEL;
            let (mut scales, mut errors) = ([0.0f32; PAIR_PANEL], [0.0f32; PAIR_PANEL]);
            let mut zeros = [0i32; PAIR_PANEL];
            scales.copy_from_slice(&self.columns.scales[first..first + PAIR_PANEL]);
            errors.copy_from_slice(&self.columns.errors[first..first + PAIR_PANEL]);
            for (to, &sum) in zeros.iter_mut().zip(&self.columns.sums[first..]) {
                *to = zero * sum;
            }
            let tiles = count.div_ceil(S::DOT_ROWS);
            let mut done = 0;
            for index in 0..tiles {
                let height = (count - done).div_ceil(tiles - index);
                // SAFETY: the panel and the rows are within their slices, whose lengths
                // `Kernels::pairs` compared; there is room for the sums of the tallest tile.
                unsafe {
                    let panel = self.columns.panels[panel * width * PAIR_PANEL..].as_ptr();
                    let x = self.rows.bytes[done * width..].as_ptr();
                    tile(s, height, panel, width, x, sums.as_mut_ptr());
                }
                for (index, sums) in sums.chunks_exact(PAIR_PANEL).take(height).enumerate() {
                    let row = first_row + done + index;
                    let (scale, error) = (self.columns.scales[row], self.columns.errors[row]);
                    let least = self.least - error;
                    let (mut found, mut mask) = ([false; PAIR_PANEL], false);
                    for i in 0..PAIR_PANEL {
                        let product = (sums[i] + zeros[i]) as f32 * scales[i] * scale;
                        found[i] = product + errors[i] * (1.0 + error) >= least;
                        mask |= found[i];
                    }
                    if !mask {
                        continue;
                    }
                    for (i, _) in found.iter().enumerate().filter(|(_, found)| **found) {
                        if first + i > row {
                            self.hits.push((row as u32, (first + i) as u32));
                        }
                    }
                }
                done += height;
            }
        }
    }
}
