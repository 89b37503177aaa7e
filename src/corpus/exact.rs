//! Exact search. A scan of the upper halves of the 8-bit codes excludes most rows, the whole codes exclude
//! most others, and f32 decides among the rest. The errors of both steps are bounded.

use std::num::NonZeroUsize;

use super::best::Best;
use super::bits::Bits;
use super::codes::{ByteFactors, QueryCode, half_bytes};
use super::error::CorpusError;
use super::index::{Index, Place};
use super::rescore::{Candidate, rescore};
use super::search::Scored;
use super::spans::{Span, each_list, spans};
use crate::kernels::{HALF_DOTS_REACH, access_pages};

/// Rows of a block: their codes stay in the cache for all queries.
const BLOCK_ROWS: usize = 256;

/// Rows that the bound excludes together.
const GROUP: usize = 32;

/// Below this number of rows, f32 at once is faster than two steps.
const DIRECT_ROWS: usize = 1_000;

/// Rows times queries for which another thread pays.
const ROWS_A_THREAD: usize = if cfg!(test) { 500 } else { 20_000 };

/// What a query has found so far.
struct Candidates {
    /// Rows that can be among the best.
    rows: Vec<Candidate>,
    /// The largest lower bounds.
    lower: Best,
}

impl Candidates {
    fn new(top_k: usize) -> Self {
        Self { rows: Vec::new(), lower: Best::new(top_k) }
    }

    /// Adds a row that can be among the best: `product + slack` is at least what is reached.
    fn add(&mut self, product: f32, slack: f32, place: Place) {
        self.rows.push(Candidate::new(product + slack, place));
        self.lower.add(product - slack);
    }

    /// Adds what another thread has found.
    fn merge(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.lower.merge(other.lower);
    }
}

pub(crate) fn exact(
    index: &Index,
    queries: &[Vec<f32>],
    allowed: &[Bits],
    top_k: usize,
    threads: NonZeroUsize,
) -> Result<Vec<Vec<Scored>>, CorpusError> {
    let rows: usize = allowed.iter().map(Bits::count).sum();
    let top_k = top_k.min(rows);
    if top_k == 0 {
        return Ok(vec![Vec::new(); queries.len()]);
    }
    if rows <= DIRECT_ROWS.max(top_k) {
        return direct(index, queries, allowed, top_k);
    }
    let codes: Vec<QueryCode> = queries.iter().map(|query| QueryCode::new(query)).collect();
    let lists = spans(&index.parts, threads, ROWS_A_THREAD.div_ceil(queries.len().max(1)));
    let found = each_list(&lists, |spans| scan(index, spans, queries, &codes, allowed, top_k))?;
    let mut merged = codes.iter().map(|_| Candidates::new(top_k)).collect::<Vec<_>>();
    for list in found {
        for (all, some) in merged.iter_mut().zip(list) {
            all.merge(some);
        }
    }
    let best = |(query, candidates): (&Vec<f32>, Candidates)| {
        rescore(index, query, candidates.rows, top_k)
    };
    queries.iter().zip(merged).map(best).collect()
}

/// Returns the candidates of each query among the rows of spans. `queries` are the codes of `vectors`.
fn scan(
    index: &Index,
    spans: &[Span],
    vectors: &[Vec<f32>],
    queries: &[QueryCode],
    allowed: &[Bits],
    top_k: usize,
) -> Result<Vec<Candidates>, CorpusError> {
    let mut found: Vec<Candidates> = queries.iter().map(|_| Candidates::new(top_k)).collect();
    let (mut sums, mut near) = (vec![0i32; BLOCK_ROWS], Vec::with_capacity(BLOCK_ROWS));
    for &Span { part, start: first, end: last } in spans {
        let (segment, allowed) = (&index.parts[part as usize].segment, &allowed[part as usize]);
        let half = half_bytes(segment.dim);
        let shifts: Vec<f32> =
            vectors.iter().map(|vector| product(vector, segment.center())).collect();
        for start in (first..last).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(last);
            let allowed_rows = allowed.count_in(start, end);
            if allowed_rows == 0 {
                continue;
            }
            let are_all = allowed_rows == end - start;
            let block = &segment.upper()[start * half..end * half];
            let factors = &segment.byte_factors()[start..end];
            // The kernel requests codes ahead. A request for a page that the process has not accessed fails.
            let reach = (end * half + HALF_DOTS_REACH).min(segment.upper().len());
            access_pages(&segment.upper()[start * half..reach]);
            for ((query, &shift), candidates) in queries.iter().zip(&shifts).zip(&mut found) {
                let sums = &mut sums[..end - start];
                index.kernels.half_dots(&query.halves.values, block, sums)?;
                near.clear();
                let groups = sums.chunks(GROUP).zip(factors.chunks(GROUP));
                for (first, (sums, factors)) in (start..).step_by(GROUP).zip(groups) {
                    // The bound excludes most rows, so it is tested first.
                    if all_below(query, shift, sums, factors, candidates.lower.reached()) {
                        continue;
                    }
                    for (row, (&sum, &factors)) in (first..).zip(sums.iter().zip(factors)) {
                        let most = query.most(sum, shift, factors);
                        let is_below = most < candidates.lower.reached();
                        if !is_below && (are_all || allowed.contains(row)) {
                            index.kernels.prefetch(&segment.lower()[row * half..(row + 1) * half]);
                            near.push((row, most));
                        }
                    }
                }
                for &(row, most) in &near {
                    // Rows of this block can have raised it.
                    if most < candidates.lower.reached() {
                        continue;
                    }
                    let place = row * half..(row + 1) * half;
                    let (upper, lower) = (&segment.upper()[place.clone()], &segment.lower()[place]);
                    let sum = index.kernels.code_dot(&query.whole.values, upper, lower)?;
                    let (product, slack) = query.product(sum, shift, segment.byte_factors()[row]);
                    let is_below = product + slack < candidates.lower.reached();
                    if !is_below {
                        candidates.add(product, slack, Place { part, row: row as u32 });
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Returns the product of a query with a center.
fn product(query: &[f32], center: &[f32]) -> f32 {
    query.iter().zip(center).map(|(&x, &c)| f64::from(x) * f64::from(c)).sum::<f64>() as f32
}

/// Returns whether no row of a group can have a score of `reached`. NaN excludes no row.
fn all_below(
    query: &QueryCode,
    shift: f32,
    sums: &[i32],
    factors: &[ByteFactors],
    reached: f32,
) -> bool {
    // Without an early end, the compiler tests several rows at a time.
    let rows = sums.iter().zip(factors);
    rows.fold(true, |all, (&sum, &factors)| all & (query.most(sum, shift, factors) < reached))
}

fn direct(
    index: &Index,
    queries: &[Vec<f32>],
    allowed: &[Bits],
    top_k: usize,
) -> Result<Vec<Vec<Scored>>, CorpusError> {
    let numbered = (0..).zip(allowed);
    let places = numbered
        .flat_map(|(part, rows)| rows.iter().map(move |row| Place { part, row: row as u32 }));
    let all: Vec<Candidate> = places.map(|place| Candidate::new(f32::INFINITY, place)).collect();
    queries.iter().map(|query| rescore(index, query, all.clone(), top_k)).collect()
}
