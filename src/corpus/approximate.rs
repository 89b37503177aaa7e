//! Approximate search: count different sign bits, estimate from the same bits, compute in f32.

use std::num::NonZeroUsize;

use super::bits::Bits;
use super::codes::{SignQuery, sign_words, signs};
use super::error::CorpusError;
use super::index::{Index, Part, Place};
use super::rescore::{Candidate, rescore};
use super::search::Scored;
use super::spans::{Span, each_list, spans};
use crate::kernels::Kernels;

/// How many rows the steps of a search select at most.
///
/// Source: docs/adr/0014-corpora.md, which has the recall of several numbers.
#[derive(Clone, Copy)]
struct Selected {
    /// By the number of different bits.
    by_bits: usize,
    /// By the estimate: 0.998 of the 10 nearest rows are among them.
    by_estimate: usize,
    /// How many standard deviations a score can be above its estimate. No f32 score is computed for a row that
    /// cannot be among the best then. With a filter, or if all scores are high, more rows are close to the best.
    deviations: f32,
}

const OF_ALL: Selected = Selected { by_bits: 1_000, by_estimate: 200, deviations: 2.5 };

/// With a filter, the results are further down among all rows, where bits and estimates order less well.
const OF_FILTERED: Selected = Selected { by_bits: 1_500, by_estimate: 300, deviations: 3.5 };

impl Selected {
    fn new(index: &Index, is_filtered: bool, top_k: usize) -> Self {
        let selected = if is_filtered { OF_FILTERED } else { OF_ALL };
        let spread = spread(&index.parts);
        Self {
            by_bits: scaled(selected.by_bits, top_k),
            by_estimate: scaled(selected.by_estimate * spread, top_k).max(top_k),
            deviations: if spread > 1 { OF_FILTERED.deviations } else { selected.deviations },
        }
    }
}

/// The standard deviation of the error of an estimate, as a multiple of the factor of the row.
///
/// The error is the product of the query with `factor * signs - r`, where `r` is the row minus the center. With the
/// factor of `sign_factor`, the squared length of this vector is `dim * factor² - |r|²`. If the values of `r` have a
/// normal distribution, `Σ|r_i| = |r| * √(2 dim / π)`, so it is `(1 - 2/π) * dim * factor²`. The product of a vector
/// with a unit vector of a random direction has the standard deviation of the length divided by `√dim`:
/// `factor * √(1 - 2/π)`. docs/adr/0014-corpora.md has the measurement.
const DEVIATION: f32 = 0.602_810_3;

/// The number of results for which these are enough.
const FEW_RESULTS: usize = 50;

/// Queries of one scan.
const QUERIES: usize = 16;

/// Rows of a block: their codes stay in the cache for all queries.
const BLOCK_ROWS: usize = if cfg!(test) { 64 } else { 1_024 };

/// Rows of a first, larger block. A sample of it shows how many different bits the nearest rows have at most. Without
/// it, most of the first rows are listed, and are found to be too far later.
const FIRST_ROWS: usize = if cfg!(test) { 256 } else { 16_384 };

/// Every how many rows of a block belong to its sample.
const SAMPLE: usize = 16;

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
    let selected = Selected::new(index, is_filtered, top_k);
    for queries in queries.chunks(QUERIES) {
        let codes: Vec<Vec<Vec<u64>>> = queries
            .iter()
            .map(|query| {
                let code = |part: &Part| signs(query, part.segment.center());
                index.parts.iter().map(code).collect()
            })
            .collect();
        let lists = spans(&index.parts, threads, ROWS_A_THREAD.div_ceil(queries.len()));
        let mut lists =
            each_list(&lists, |spans| scan(index, spans, &codes, allowed, selected.by_bits))?;
        for (number, query) in queries.iter().enumerate() {
            let lists = lists.iter_mut().map(|nearest| &mut nearest[number]).collect();
            found.push(select(index, query, lists, selected, top_k)?);
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

/// How many times as many rows a list has at most as it must have.
const LISTED: usize = 4;

/// More different bits than there are dimensions.
const EXCLUDED: u16 = u16::MAX;

impl Nearest {
    /// Returns the list of a query with this number of bits, for this number of rows. `wanted` is not zero.
    fn new(wanted: usize, bits: usize, rows: usize) -> Self {
        let most = bits as u16;
        let rows = Vec::with_capacity((LISTED * wanted).min(rows) + BLOCK_ROWS);
        Self { wanted, most, total: 0, counts: vec![0; bits + 1], rows }
    }

    /// Adds the rows of a block with these numbers of different bits. `near` is a list to work with.
    fn add(
        &mut self,
        kernels: Kernels,
        bits: &[u16],
        part: u32,
        start: usize,
        near: &mut Vec<u32>,
    ) {
        near.clear();
        if bits.len() > BLOCK_ROWS {
            kernels.near(bits, self.probable_most(bits), near);
        }
        // If a large block has the wanted rows, no others are near.
        if near.len() < self.wanted {
            near.clear();
            kernels.near(bits, self.most, near);
        }
        let differences = |index: u32| bits[index as usize];
        for &index in &*near {
            self.counts[usize::from(differences(index))] += 1;
        }
        let place = |index| Place { part, row: start as u32 + index };
        self.rows.extend(near.iter().map(|&index| (differences(index), place(index))));
        self.total += near.len();
        // Without the rows that have the most different bits, are there still enough?
        while self.total - self.counts[usize::from(self.most)] >= self.wanted {
            self.total -= self.counts[usize::from(self.most)];
            self.most -= 1;
        }
        if self.rows.len() > LISTED * self.total.max(self.wanted) {
            self.keep_near();
        }
    }

    /// Returns a number of different bits, at most `most`. A large block probably has more than the wanted rows with at
    /// most this number.
    fn probable_most(&self, bits: &[u16]) -> u16 {
        let mean = self.wanted as f64 / SAMPLE as f64;
        // Four standard deviations more.
        let enough = (mean + 4.0 * mean.sqrt()).ceil() as usize;
        let mut counts = vec![0usize; self.counts.len()];
        for &bits in bits.iter().step_by(SAMPLE) {
            if let Some(count) = counts.get_mut(usize::from(bits)) {
                *count += 1;
            }
        }
        let mut total = 0;
        let reaches = |count: &usize| {
            total += count;
            total >= enough
        };
        counts.iter().position(reaches).map_or(self.most, |most| self.most.min(most as u16))
    }

    /// Removes the listed rows with more than `most` different bits.
    fn keep_near(&mut self) {
        let mut kept = 0;
        // Without a branch: which rows stay cannot be predicted.
        for index in 0..self.rows.len() {
            let row = self.rows[index];
            self.rows[kept] = row;
            kept += usize::from(row.0 <= self.most);
        }
        self.rows.truncate(kept);
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
    let rows = spans.iter().map(|span| span.end - span.start).sum();
    let list = |_| Nearest::new(wanted, words * 64, rows);
    let mut lists: Vec<Nearest> = codes.iter().map(list).collect();
    let (mut bits, mut near) = (vec![0; FIRST_ROWS], Vec::with_capacity(BLOCK_ROWS));
    let mut rows_of_block = FIRST_ROWS;
    for &Span { part, start: first, end: last } in spans {
        let (segment, allowed) = (&index.parts[part as usize].segment, &allowed[part as usize]);
        let mut end = first;
        while end < last {
            let start = end;
            end = (start + rows_of_block).min(last);
            if end - start == FIRST_ROWS {
                rows_of_block = BLOCK_ROWS;
            }
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
                nearest.add(index.kernels, bits, part, start, &mut near);
            }
        }
    }
    Ok(lists)
}

fn select(
    index: &Index,
    query: &[f32],
    mut lists: Vec<&mut Nearest>,
    selected: Selected,
    top_k: usize,
) -> Result<Vec<Scored>, CorpusError> {
    let (mut total, mut most) = (0, 0);
    let numbers = lists.first().map_or(0, |list| list.counts.len());
    // The rows of a list suffice alone, so up to the least `most` of the lists, all counts are complete.
    for bits in 0..numbers {
        most = bits as u16;
        total += lists.iter().map(|list| list.counts[bits]).sum::<usize>();
        if total >= selected.by_bits {
            break;
        }
    }
    let (code, margin) = (SignQuery::new(query), selected.deviations * DEVIATION);
    let mut candidates: Vec<Candidate> = Vec::with_capacity(total);
    for list in &mut lists {
        list.most = most;
        list.keep_near();
    }
    let places: Vec<Place> =
        lists.iter().flat_map(|list| &list.rows).map(|(_, place)| *place).collect();
    let (mut rows, mut sums) = (Vec::with_capacity(total), Vec::new());
    for places in places.chunk_by(|a, b| a.part == b.part) {
        let part = places.first().map_or(0, |place| place.part);
        let segment = &index.parts[part as usize].segment;
        let factors = segment.sign_factors();
        let center: f32 = query.iter().zip(segment.center()).map(|(q, c)| q * c).sum();
        rows.clear();
        rows.extend(places.iter().map(|place| place.row));
        for &row in &rows {
            index.kernels.prefetch(&factors[row as usize..=row as usize]);
        }
        sums.resize(rows.len(), 0);
        index.kernels.sign_sums(code.words(), segment.signs(), &rows, &mut sums)?;
        candidates.extend(places.iter().zip(&sums).map(|(&place, &set)| {
            // The estimate is the same without the margin.
            let most = center + factors[place.row as usize] * (code.signed(set) + margin);
            Candidate::new(most, place)
        }));
    }
    if candidates.len() > selected.by_estimate {
        candidates.select_nth_unstable_by(selected.by_estimate, Candidate::order);
        candidates.truncate(selected.by_estimate);
    }
    rescore(index, query, candidates, top_k)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_rows_are_those_of_sorting(
            mut bits in proptest::collection::vec(prop_oneof![20 => 0u16..=64, 1 => Just(EXCLUDED)], 0..900),
            wanted in 1usize..40, block in prop_oneof![1usize..100, 300usize..900], is_sample_near: bool,
        ) {
            if is_sample_near {
                // The sample promises more near rows than there are.
                bits.iter_mut().step_by(SAMPLE).for_each(|bits| *bits /= 8);
            }
            let (mut nearest, mut near) = (Nearest::new(wanted, 64, bits.len()), Vec::new());
            for (number, bits) in bits.chunks(block).enumerate() {
                nearest.add(Kernels::detect(), bits, 0, number * block, &mut near);
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
            prop_assert!(nearest.rows.len() <= LISTED * nearest.total.max(wanted) + block);
        }
    }
}
