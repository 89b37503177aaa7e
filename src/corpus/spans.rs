//! The rows of an index in spans, one list for each thread of a scan.

use std::num::NonZeroUsize;
use std::thread;

use super::error::CorpusError;
use super::index::Part;
use crate::threads::{Job, start};

/// Rows of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of the segment.
    pub(crate) part: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Spans start at multiples of this number of rows: a word of a set of rows.
const ALIGNMENT: usize = 64;

/// Returns all rows of an index in lists of about equal size, at most one for each thread, in order. A
/// list has at least `least` rows, unless there is only one.
pub(crate) fn spans(parts: &[Part], threads: NonZeroUsize, least: usize) -> Vec<Vec<Span>> {
    let rows: usize = parts.iter().map(|part| part.segment.rows).sum();
    let lists = (rows / least.max(1)).clamp(1, threads.get());
    let size = rows.div_ceil(lists).next_multiple_of(ALIGNMENT);
    let mut all = vec![Vec::new()];
    let mut room = size;
    for (part, rows) in (0..).zip(parts.iter().map(|part| part.segment.rows)) {
        let mut start = 0;
        while start < rows {
            if room == 0 {
                all.push(Vec::new());
                room = size;
            }
            // A segment can end at any row; the next span starts at a multiple again.
            let end = rows.min(start + room.next_multiple_of(ALIGNMENT));
            room = room.saturating_sub(end - start);
            if let Some(list) = all.last_mut() {
                list.push(Span { part, start, end });
            }
            start = end;
        }
    }
    all
}

/// Runs a function for each list, the first one on the calling thread. Returns its results in order.
pub(crate) fn each_list<T: Send>(
    lists: &[Vec<Span>],
    work: impl Fn(&[Span]) -> Result<T, CorpusError> + Sync,
) -> Result<Vec<T>, CorpusError> {
    let Some((first, others)) = lists.split_first() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = others.iter().map(|list| start(scope, move || work(list))).collect();
        let mut results = vec![work(first)];
        results.extend(others.into_iter().map(Job::join));
        results.into_iter().collect()
    })
}
