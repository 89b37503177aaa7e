//! Approximate search: count different sign bits, estimate from the same bits, compute in f32.

use std::num::NonZeroUsize;

use super::bits::Bits;
use super::codes::{sign_words, signs};
use super::error::CorpusError;
use super::exact::rescore;
use super::index::{Index, Part, Place};
use super::search::Scored;
use super::spans::{Span, each_list, spans};

/// Rows that the number of different bits selects.
///
/// Source: docs/adr/0014-corpora.md, which has the recall of several numbers.
const FIRST: usize = 1_500;

/// Rows that the estimate selects: 0.998 of the 10 nearest rows are among them.
const SECOND: usize = 200;

/// The same with a filter: the results are further down among all rows, where the estimate orders less well.
///
/// Source: docs/adr/0014-corpora.md.
const SECOND_OF_FILTERED: usize = 300;

/// The number of results for which these are enough.
const FEW_RESULTS: usize = 50;

/// Queries of one scan.
const QUERIES: usize = 16;

/// Rows of a block: their codes stay in the cache for all queries.
const BLOCK_ROWS: usize = 1_024;

/// Rows times queries for which another thread pays.
const ROWS_A_THREAD: usize = if cfg!(test) { 500 } else { 150_000 };

pub(crate) fn approximate(
    index: &Index,
    queries: &[Vec<f32>],
    allowed: &[Bits],
    top_k: usize,
    threads: NonZeroUsize,
) -> Result<Vec<Vec<Scored>>, CorpusError> {
    let mut found = Vec::with_capacity(queries.len());
    let is_filtered = allowed.iter().map(Bits::count).sum::<usize>() < index.len();
    let second = if is_filtered { SECOND_OF_FILTERED } else { SECOND };
    let second = scaled(second * spread(&index.parts), top_k).max(top_k);
    for queries in queries.chunks(QUERIES) {
        let codes: Vec<Vec<Vec<u64>>> = queries
            .iter()
            .map(|query| {
                let code = |part: &Part| signs(query, part.segment.center());
                index.parts.iter().map(code).collect()
            })
            .collect();
        let lists = spans(&index.parts, threads, ROWS_A_THREAD.div_ceil(queries.len()));
        let first = scaled(FIRST, top_k);
        let lists = each_list(&lists, |spans| scan(index, spans, &codes, allowed, first))?;
        for (number, query) in queries.iter().enumerate() {
            let lists: Vec<&Nearest> = lists.iter().map(|nearest| &nearest[number]).collect();
            found.push(select(index, query, &lists, (first, second), top_k)?);
        }
    }
    Ok(found)
}

/// The largest share of the center in the length of the rows that [`spread`] takes into account.
const LARGEST_SHARE: f32 = 0.95;

/// Returns how many times as many rows the estimate must select.
///
/// The estimate multiplies the signs with the whole query, so its error grows with the length of the center.
/// Source: docs/adr/0014-corpora.md.
fn spread(parts: &[Part]) -> usize {
    let rows: f32 = parts.iter().map(|part| part.segment.rows as f32).sum();
    let squares = |part: &Part| part.segment.center().iter().map(|x| x * x).sum::<f32>();
    let share: f32 = parts.iter().map(|part| squares(part) * part.segment.rows as f32 / rows).sum();
    (1.0 / (1.0 - share.min(LARGEST_SHARE))) as usize
}

/// Returns a number of candidates for this number of results.
fn scaled(count: usize, top_k: usize) -> usize {
    count.max(count.saturating_mul(top_k) / FEW_RESULTS)
}

/// The rows with the fewest different bits so far.
struct Nearest {
    /// How many rows are wanted. All rows that tie with the last of them belong to them.
    wanted: usize,
    /// No row with more different bits can be among the wanted ones.
    most: u16,
    /// Number of rows with at most `most` different bits.
    total: usize,
    /// How many rows have each number of different bits, up to `most`.
    counts: Vec<usize>,
    /// Rows with at most `most` different bits, in order, and some others, which were near before.
    rows: Vec<(u16, Place)>,
}

/// More different bits than there are dimensions.
const EXCLUDED: u16 = u16::MAX;

impl Nearest {
    /// Returns the list of a query with this number of bits. `wanted` is not zero.
    fn new(wanted: usize, bits: usize) -> Self {
        let most = bits as u16;
        Self { wanted, most, total: 0, counts: vec![0; bits + 1], rows: Vec::new() }
    }

    /// Adds rows with these numbers of different bits. `near` are the places in `bits` of those that
    /// have at most `most`.
    fn add(&mut self, bits: &[u16], near: &[u32], part: u32, start: usize) {
        for &index in near {
            let bits = bits[index as usize];
            self.counts[usize::from(bits)] += 1;
            self.rows.push((bits, Place { part, row: start as u32 + index }));
        }
        self.total += near.len();
        // Without the rows that have the most different bits, are there still enough?
        while self.total - self.counts[usize::from(self.most)] >= self.wanted {
            self.total -= self.counts[usize::from(self.most)];
            self.most -= 1;
        }
        if self.rows.len() > 4 * self.total.max(self.wanted) {
            self.rows.retain(|(bits, _)| *bits <= self.most);
        }
    }
}

/// Returns the nearest rows of spans for each query, at least `wanted` of them. `codes` has the signs of
/// each query, minus the center of each segment.
fn scan(
    index: &Index,
    spans: &[Span],
    codes: &[Vec<Vec<u64>>],
    allowed: &[Bits],
    wanted: usize,
) -> Result<Vec<Nearest>, CorpusError> {
    let words = sign_words(index.manifest().vectors.dimensions);
    let mut lists: Vec<Nearest> = codes.iter().map(|_| Nearest::new(wanted, words * 64)).collect();
    let (mut bits, mut near) = (vec![0; BLOCK_ROWS], Vec::with_capacity(BLOCK_ROWS));
    for &Span { part, start: first, end: last } in spans {
        let (segment, allowed) = (&index.parts[part as usize].segment, &allowed[part as usize]);
        for start in (first..last).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(last);
            let rows = allowed.count_in(start, end);
            if rows == 0 {
                continue;
            }
            let block = &segment.signs()[start * words..end * words];
            for (code, nearest) in codes.iter().zip(&mut lists) {
                let bits = &mut bits[..end - start];
                index.kernels.hamming(&code[part as usize], block, bits)?;
                if rows < end - start {
                    for (row, bits) in (start..end).zip(bits.iter_mut()) {
                        // Without a branch, as in `filter.rs`.
                        *bits |= EXCLUDED * u16::from(!allowed.contains(row));
                    }
                }
                near.clear();
                index.kernels.near(bits, nearest.most, &mut near);
                nearest.add(bits, &near, part, start);
            }
        }
    }
    Ok(lists)
}

fn select(
    index: &Index,
    query: &[f32],
    lists: &[&Nearest],
    (first, second): (usize, usize),
    top_k: usize,
) -> Result<Vec<Scored>, CorpusError> {
    let (mut total, mut most) = (0, 0);
    let numbers = lists.first().map_or(0, |list| list.counts.len());
    // The rows of a list suffice alone, so up to the least `most` of the lists, all counts are complete.
    for bits in 0..numbers {
        most = bits as u16;
        total += lists.iter().map(|list| list.counts[bits]).sum::<usize>();
        if total >= first {
            break;
        }
    }
    let sum: f32 = query.iter().sum();
    let mut estimates: Vec<(f32, Place)> = Vec::with_capacity(total);
    let near = lists.iter().flat_map(|list| &list.rows).filter(|(bits, _)| *bits <= most);
    let places: Vec<Place> = near.map(|(_, place)| *place).collect();
    let (mut rows, mut sums) = (Vec::with_capacity(total), Vec::new());
    for places in places.chunk_by(|a, b| a.part == b.part) {
        let part = places.first().map_or(0, |place| place.part);
        let segment = &index.parts[part as usize].segment;
        let factors = segment.sign_factors();
        let center: f32 = query.iter().zip(segment.center()).map(|(q, c)| q * c).sum();
        rows.clear();
        rows.extend(places.iter().map(|place| place.row));
        sums.resize(rows.len(), 0.0);
        index.kernels.sign_sums(query, segment.signs(), &rows, &mut sums)?;
        estimates.extend(places.iter().zip(&sums).map(|(&place, &set)| {
            let signed = 2.0 * set - sum;
            (center + factors[place.row as usize] * signed, place)
        }));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_rows_are_those_of_sorting(
            bits in proptest::collection::vec(prop_oneof![20 => 0u16..=64, 1 => Just(EXCLUDED)], 0..900),
            wanted in 1usize..40, block in 1usize..100,
        ) {
            let mut nearest = Nearest::new(wanted, 64);
            for (number, block_bits) in bits.chunks(block).enumerate() {
                let near: Vec<u32> = (0..)
                    .zip(block_bits)
                    .filter(|(_, bits)| **bits <= nearest.most)
                    .map(|(row, _)| row)
                    .collect();
                nearest.add(block_bits, &near, 0, number * block);
            }
            let mut sorted: Vec<u16> = bits.iter().copied().filter(|&b| b != EXCLUDED).collect();
            sorted.sort_unstable();
            let most = sorted.get(wanted - 1).copied().unwrap_or(64);
            let expected: Vec<u32> =
                (0..).zip(&bits).filter(|(_, b)| **b <= most).map(|(row, _)| row).collect();
            prop_assert_eq!(nearest.most, most);
            prop_assert_eq!(nearest.total, expected.len());
            let kept = nearest.rows.iter().filter(|(bits, _)| *bits <= most);
            prop_assert_eq!(kept.map(|(_, place)| place.row).collect::<Vec<_>>(), expected);
            prop_assert!(nearest.rows.len() <= 4 * nearest.total.max(wanted) + block);
        }
    }
}
