//! Approximate search: count different sign bits, estimate from the same bits, compute in f32.

use std::num::NonZeroUsize;

use super::bits::Bits;
use super::codes::{sign_words, signs};
use super::error::CorpusError;
use super::exact::rescore;
use super::index::{Index, Part, Place};
use super::search::Scored;
use super::spans::{Span, each_list, spans};
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
    for queries in queries.chunks(QUERIES) {
        let codes: Vec<Vec<Vec<u64>>> = queries
            .iter()
            .map(|query| {
                let code = |part: &Part| signs(query, part.segment.center());
                index.parts.iter().map(code).collect()
            })
            .collect();
        let lists = spans(&index.parts, threads, ROWS_A_THREAD.div_ceil(queries.len()));
        let scans = each_list(&lists, |spans| scan(index, spans, &codes, allowed))?;
        for (number, query) in queries.iter().enumerate() {
            let scans: Vec<&Scan> = scans.iter().map(|scans| &scans[number]).collect();
            found.push(select(index, query, &scans, top_k)?);
        }
    }
    Ok(found)
}

/// The numbers of different bits of a query and rows.
struct Scan {
    /// For each span, one for each row; that of a row that is not allowed is [`EXCLUDED`].
    spans: Vec<(Span, Vec<u16>)>,
    /// How many rows have each number.
    counts: Vec<usize>,
}

/// More different bits than there are dimensions.
const EXCLUDED: u16 = u16::MAX;

/// Returns the scan of each query, over the rows of spans. `codes` has the signs of each query, minus
/// the center of each segment.
fn scan(
    index: &Index,
    spans: &[Span],
    codes: &[Vec<Vec<u64>>],
    allowed: &[Bits],
) -> Result<Vec<Scan>, CorpusError> {
    let words = sign_words(index.manifest().vectors.dimensions);
    let empty = |_| Scan { spans: Vec::new(), counts: vec![0; words * 64 + 1] };
    let mut scans: Vec<Scan> = codes.iter().map(empty).collect();
    for &span in spans {
        let Span { part, start: first, end: last } = span;
        let (segment, allowed) = (&index.parts[part as usize].segment, &allowed[part as usize]);
        for scan in &mut scans {
            scan.spans.push((span, vec![EXCLUDED; last - first]));
        }
        for start in (first..last).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(last);
            let rows = allowed.count_in(start, end);
            if rows == 0 {
                continue;
            }
            let block = &segment.signs()[start * words..end * words];
            for (code, scan) in codes.iter().zip(&mut scans) {
                let Some((_, out)) = scan.spans.last_mut() else { continue };
                let out = &mut out[start - first..end - first];
                index.kernels.hamming(&code[part as usize], block, out)?;
                if rows < end - start {
                    for (row, bits) in (start..end).zip(out.iter_mut()) {
                        *bits = if allowed.contains(row) { *bits } else { EXCLUDED };
                    }
                }
                count(out, &mut scan.counts);
            }
        }
    }
    Ok(scans)
}

/// Counts the rows with each number of different bits.
fn count(bits: &[u16], counts: &mut [usize]) {
    for &bits in bits {
        // The excluded ones have no count.
        if let Some(count) = counts.get_mut(usize::from(bits)) {
            *count += 1;
        }
    }
}

/// Numbers of different bits that are looked at together.
const GROUP: usize = 32;

fn select(
    index: &Index,
    query: &[f32],
    scans: &[&Scan],
    top_k: usize,
) -> Result<Vec<Scored>, CorpusError> {
    let scale = |count: usize| count.max(count.saturating_mul(top_k) / FEW_RESULTS);
    let (first, second) = (scale(FIRST), scale(SECOND).max(top_k));
    let (mut total, mut most) = (0, 0);
    let numbers = scans.first().map_or(0, |scan| scan.counts.len());
    for bits in 0..numbers {
        most = bits as u16;
        total += scans.iter().map(|scan| scan.counts[bits]).sum::<usize>();
        if total >= first {
            break;
        }
    }
    let table = SignTable::new(query);
    let sum: f32 = query.iter().sum();
    let mut estimates: Vec<(f32, Place)> = Vec::with_capacity(total);
    for (span, distances) in scans.iter().flat_map(|scan| &scan.spans) {
        let segment = &index.parts[span.part as usize].segment;
        let center: f32 = query.iter().zip(segment.center()).map(|(q, c)| q * c).sum();
        for (group, bits) in distances.chunks(GROUP).enumerate() {
            // Most groups have no candidate.
            if bits.iter().fold(u16::MAX, |least, &bits| least.min(bits)) > most {
                continue;
            }
            let rows = span.start + group * GROUP..;
            for (row, _) in rows.zip(bits).filter(|(_, bits)| **bits <= most) {
                let signed = 2.0 * table.sum(segment.sign_bytes(row)) - sum;
                let estimate = center + segment.factors(row).sign * signed;
                estimates.push((estimate, Place { part: span.part, row: row as u32 }));
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
