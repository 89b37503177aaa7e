//! Rows to compare with each other: those of an array, or the live rows of an index.

use std::borrow::Cow;
use std::ops::Range;

use super::codes::quantize;
use super::error::CorpusError;
use super::index::{Index, Place};
use super::segment::InOrder;
use super::unit::unit;
use crate::kernels::{Kernels, PAIR_PANEL, PairColumns, pair_panel_bytes};

/// How many rows ahead of its use a vector is brought into the cache, where rows are read in any order.
pub(crate) const PREFETCH_AHEAD: usize = 4;

/// The least number of rows between the look-up of the pages of a vector and its use.
pub(crate) const LOOK_UP_AHEAD: usize = 20;

/// How many rows are looked up together. docs/adr/0014-corpora.md has the measurement.
const LOOK_UP_ROWS: usize = 16;

/// Returns the rows to look up before row `number` is used. The first [`LOOK_UP_AHEAD`] rows are not among them.
pub(crate) fn to_look_up(number: usize) -> Range<usize> {
    let start = number + LOOK_UP_AHEAD;
    let rows = if number.is_multiple_of(LOOK_UP_ROWS) { LOOK_UP_ROWS } else { 0 };
    start..start + rows
}

/// Rows `[rows, dim]`, f32, of unit length.
pub(crate) trait UnitRows: Sync {
    fn len(&self) -> usize;

    fn dim(&self) -> usize;

    fn get(&self, row: usize) -> Cow<'_, [f32]>;

    /// The kernels that compare the rows.
    fn kernels(&self) -> Kernels;

    /// Makes the processor look up the pages of a row, so that [`prefetch`](Self::prefetch) has an effect later. Does
    /// not wait.
    fn look_up(&self, row: usize);

    /// Brings a row into the cache, if its page is in memory. Does not wait.
    fn prefetch(&self, row: usize);

    /// Lets the operating system read ahead in files, while the guards exist.
    fn read_in_order(&self) -> Vec<InOrder<'_>>;
}

/// Rows in memory.
pub(crate) struct ArrayRows {
    values: Vec<f32>,
    dim: usize,
    kernels: Kernels,
}

impl ArrayRows {
    /// Normalizes rows, each `[dim]`.
    pub(crate) fn new<R: AsRef<[f32]>>(rows: &[R]) -> Result<Self, CorpusError> {
        let dim = rows.first().map_or(0, |row| row.as_ref().len());
        let mut values = Vec::with_capacity(rows.len() * dim);
        for (index, row) in rows.iter().enumerate() {
            let row = unit(row.as_ref(), dim).map_err(|error| match error {
                CorpusError::DegenerateVector { .. } => CorpusError::DegenerateVector { index },
                other => other,
            })?;
            values.extend(row);
        }
        Ok(Self { values, dim, kernels: Kernels::detect() })
    }

    #[cfg(test)]
    pub(crate) fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }
}

impl UnitRows for ArrayRows {
    fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn get(&self, row: usize) -> Cow<'_, [f32]> {
        Cow::Borrowed(&self.values[row * self.dim..(row + 1) * self.dim])
    }

    fn kernels(&self) -> Kernels {
        self.kernels
    }

    fn look_up(&self, row: usize) {
        self.kernels.look_up(&self.values[row * self.dim..(row + 1) * self.dim]);
    }

    fn prefetch(&self, row: usize) {
        self.kernels.prefetch_far(&self.values[row * self.dim..(row + 1) * self.dim]);
    }

    fn read_in_order(&self) -> Vec<InOrder<'_>> {
        Vec::new()
    }
}

/// The live rows of an index, in the order in which they were added.
pub(crate) struct LiveRows<'a> {
    index: &'a Index,
    places: Vec<Place>,
}

impl<'a> LiveRows<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        Self { index, places: index.places() }
    }
}

impl UnitRows for LiveRows<'_> {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn dim(&self) -> usize {
        self.index.manifest().vectors.dimensions
    }

    fn get(&self, row: usize) -> Cow<'_, [f32]> {
        let place = self.places[row];
        self.index.parts[place.part as usize].segment.vector(place.row as usize)
    }

    fn kernels(&self) -> Kernels {
        self.index.kernels
    }

    fn look_up(&self, row: usize) {
        self.index.look_up(self.places[row]);
    }

    fn prefetch(&self, row: usize) {
        self.index.prefetch(self.places[row]);
    }

    fn read_in_order(&self) -> Vec<InOrder<'_>> {
        self.index.read_in_order()
    }
}

/// Rows in 8 bits, in the panels of the kernels.
pub(crate) struct Panels {
    panels: Vec<i8>,
    scales: Vec<f32>,
    errors: Vec<f32>,
    sums: Vec<i32>,
}

impl Panels {
    pub(crate) fn new(rows: &dyn UnitRows) -> Self {
        let (count, dim, steps) = (rows.len(), rows.dim(), rows.kernels().pair_steps());
        let padded = count.next_multiple_of(PAIR_PANEL);
        let mut panels = vec![0; padded / PAIR_PANEL * pair_panel_bytes(dim)];
        // A padding row has an error of minus infinity, so it never reaches a score.
        let mut errors = vec![f32::NEG_INFINITY; padded];
        let (mut scales, mut sums) = (vec![0.0; padded], vec![0; padded]);
        let mut codes = Vec::with_capacity(dim);
        let _in_order = rows.read_in_order();
        for row in 0..count {
            codes.clear();
            (scales[row], errors[row]) = quantize(&rows.get(row), steps, &mut codes);
            sums[row] = codes.iter().map(|&code| i32::from(code)).sum();
            let start = row / PAIR_PANEL * pair_panel_bytes(dim) + row % PAIR_PANEL * 4;
            for (group, values) in codes.chunks(4).enumerate() {
                let at = start + group * 4 * PAIR_PANEL;
                panels[at..at + values.len()].copy_from_slice(values);
            }
        }
        Self { panels, scales, errors, sums }
    }

    pub(crate) fn columns(&self) -> PairColumns<'_> {
        PairColumns {
            panels: &self.panels,
            scales: &self.scales,
            errors: &self.errors,
            sums: &self.sums,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_looked_up_once_and_before_its_use() {
        let looked_up: Vec<(usize, usize)> =
            (0..100).flat_map(|now| to_look_up(now).map(move |row| (now, row))).collect();
        let rows: Vec<usize> = looked_up.iter().map(|&(_, row)| row).collect();
        assert_eq!(rows, (LOOK_UP_AHEAD..LOOK_UP_AHEAD + rows.len()).collect::<Vec<_>>());
        assert!(rows.len() > 90);
        assert!(looked_up.iter().all(|&(now, row)| row > now + PREFETCH_AHEAD));
    }
}
