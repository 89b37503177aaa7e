//! All pairs of rows whose score reaches a threshold.
//!
//! Products in 8 bits exclude most pairs: by the Cauchy-Schwarz inequality, the product of two unit
//! rows exceeds that of their quantized forms by at most `e + f + e f`, with the lengths `e` and `f` of
//! what these leave out. The other pairs are computed in f32, which decides.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::codes::ROUNDING;
use super::error::CorpusError;
use super::unit_rows::{PREFETCH_AHEAD, Panels, UnitRows, to_look_up};
use crate::kernels::{PAIR_PANEL, PairRows};
use crate::threads::{Job, start};

/// Rows of a block, which stay in the second cache.
const BLOCK_ROWS: usize = 16 * PAIR_PANEL;

/// Panels between two looks at what was found.
const BLOCK_PANELS: usize = 64;

/// Calls `found` with each pair of rows `a < b` whose f32 score is at least `least`. Several threads call
/// it, in no particular order.
pub(crate) fn each_pair(
    rows: &dyn UnitRows,
    panels: &Panels,
    least: f32,
    threads: NonZeroUsize,
    found: &(dyn Fn(u32, u32, f32) + Sync),
) -> Result<(), CorpusError> {
    let kernels = rows.kernels();
    let count = rows.len();
    let blocks = count.div_ceil(BLOCK_ROWS);
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), CorpusError> {
        let (mut block, mut hits) = (PairRows::default(), Vec::new());
        loop {
            let start = next.fetch_add(1, Ordering::Relaxed);
            if start >= blocks {
                return Ok(());
            }
            let start = start * BLOCK_ROWS;
            let columns = panels.columns();
            let end = (start + BLOCK_ROWS).min(count);
            block.fill(kernels, columns.panels, rows.dim(), start..end);
            let last = count.div_ceil(PAIR_PANEL);
            for first in (start / PAIR_PANEL..last).step_by(BLOCK_PANELS) {
                let part: Range<usize> = first..(first + BLOCK_PANELS).min(last);
                hits.clear();
                kernels.pairs(&block, columns, part, least - ROUNDING, &mut hits)?;
                for (number, &(a, b)) in hits.iter().enumerate() {
                    let next = to_look_up(number).map_while(|next| hits.get(next));
                    next.for_each(|&(_, next)| rows.look_up(next as usize));
                    if let Some(&(_, next)) = hits.get(number + PREFETCH_AHEAD) {
                        rows.prefetch(next as usize);
                    }
                    let score = score(rows, a as usize, b as usize)?;
                    if score >= least {
                        found(a, b, score);
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> =
            (1..threads.get().min(blocks.max(1))).map(|_| start(scope, work)).collect();
        let own = work();
        others.into_iter().map(Job::join).fold(own, Result::and)
    })
}

/// The f32 score of two rows. It does not depend on their order.
pub(crate) fn score(rows: &dyn UnitRows, a: usize, b: usize) -> Result<f32, CorpusError> {
    let mut score = [0.0];
    rows.kernels().dots(&rows.get(a), &rows.get(b), &mut score)?;
    Ok(score[0])
}
