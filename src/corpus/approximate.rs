//! Approximate search: count different sign bits, estimate from the same bits, compute in f32.

use super::bits::Bits;
use super::codes::signs;
use super::error::CorpusError;
use super::exact::rescore;
use super::index::{Index, Place};
use super::search::Scored;
use crate::kernels::SignTable;

/// Rows that the number of different bits selects.
///
/// Source: docs/adr/0014-corpora.md; of the 10 nearest rows, 0.999 are among them.
const FIRST: usize = 2_000;

/// Rows that the estimate selects: 0.998 of the 10 nearest rows are among them.
const SECOND: usize = 200;

/// The number of results for which these are enough.
const FEW_RESULTS: usize = 50;

/// Queries of one scan. Each needs two bytes for every row.
const QUERIES: usize = 16;

/// Rows of a block: their codes stay in the cache for all queries.
const BLOCK_ROWS: usize = 1_024;

/// Largest number of different bits, and so of dimensions, that is counted apart.
const MOST_BITS: usize = u16::MAX as usize;

pub(crate) fn approximate(
    index: &Index,
    queries: &[Vec<f32>],
    allowed: &[Bits],
    top_k: usize,
) -> Result<Vec<Vec<Scored>>, CorpusError> {
    let mut found = Vec::with_capacity(queries.len());
    for queries in queries.chunks(QUERIES) {
        let distances = scan(index, queries)?;
        for (query, distances) in queries.iter().zip(&distances) {
            found.push(select(index, query, distances, allowed, top_k)?);
        }
    }
    Ok(found)
}

/// Returns the number of different bits: for each query and segment, `[rows]`.
fn scan(index: &Index, queries: &[Vec<f32>]) -> Result<Vec<Vec<Vec<u16>>>, CorpusError> {
    let mut distances: Vec<Vec<Vec<u16>>> = vec![Vec::new(); queries.len()];
    for part in &index.parts {
        let segment = &part.segment;
        let words = super::codes::sign_words(segment.dim);
        let codes: Vec<Vec<u64>> =
            queries.iter().map(|query| signs(query, segment.center())).collect();
        for list in &mut distances {
            list.push(vec![0; segment.rows]);
        }
        for start in (0..segment.rows).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(segment.rows);
            let block = &segment.signs()[start * words..end * words];
            for (code, list) in codes.iter().zip(&mut distances) {
                if let Some(out) = list.last_mut() {
                    index.kernels.hamming(code, block, &mut out[start..end])?;
                }
            }
        }
    }
    Ok(distances)
}

fn select(
    index: &Index,
    query: &[f32],
    distances: &[Vec<u16>],
    allowed: &[Bits],
    top_k: usize,
) -> Result<Vec<Scored>, CorpusError> {
    let scale = |count: usize| count.max(count.saturating_mul(top_k) / FEW_RESULTS);
    let (first, second) = (scale(FIRST), scale(SECOND).max(top_k));
    let everything = |part: usize| allowed[part].count() == distances[part].len();
    let whole: Vec<bool> = (0..allowed.len()).map(everything).collect();
    let mut counts = vec![0usize; MOST_BITS + 1];
    for ((distances, allowed), whole) in distances.iter().zip(allowed).zip(&whole) {
        match whole {
            true => distances.iter().for_each(|&bits| counts[usize::from(bits)] += 1),
            false => allowed.iter().for_each(|row| counts[usize::from(distances[row])] += 1),
        }
    }
    let mut total = 0;
    let most = counts.iter().position(|count| {
        total += count;
        total >= first
    });
    let most = most.unwrap_or(MOST_BITS) as u16;
    let table = SignTable::new(query);
    let sum: f32 = query.iter().sum();
    let mut estimates: Vec<(f32, Place)> = Vec::with_capacity(total.min(2 * first));
    for ((part, segment), (distances, allowed)) in
        (0..).zip(index.parts.iter().map(|part| &part.segment)).zip(distances.iter().zip(allowed))
    {
        let center: f32 = query.iter().zip(segment.center()).map(|(q, c)| q * c).sum();
        let is_whole = whole[part as usize];
        for (row, _) in distances.iter().enumerate().filter(|(_, bits)| **bits <= most) {
            if is_whole || allowed.contains(row) {
                let signed = 2.0 * table.sum(segment.sign_bytes(row)) - sum;
                let estimate = center + segment.factors(row).sign * signed;
                estimates.push((estimate, Place { part, row: row as u32 }));
            }
        }
    }
    if estimates.len() > second {
        estimates.select_nth_unstable_by(second, |a, b| b.0.total_cmp(&a.0));
        estimates.truncate(second);
    }
    let mut places: Vec<Place> = estimates.into_iter().map(|(_, place)| place).collect();
    // In the order of the file.
    places.sort_unstable();
    rescore(index, query, &places, top_k)
}
