//! The last step of a search: f32 scores of the rows that can be among the best.

use std::cmp::Ordering;
use std::time::Instant;

use super::best::Best;
use super::error::CorpusError;
use super::index::{Index, Place};
use super::search::{SLOW_ROW, Scored};
use super::unit_rows::{LOOK_UP_AHEAD, PREFETCH_AHEAD, to_look_up};

/// How many rows ahead the pages of a vector are requested from a disk. A network file system reads about as many at
/// the same time, and what follows has to wait for pages that turn out to be useless.
const REQUEST_AHEAD: usize = 64;

/// The first rows are timed one by one, and later rows in groups of this size: reading the clock for each row takes a
/// fiftieth of a search.
const TIMED_ROWS: usize = 8;

/// A row that can be among the best.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    most: f32,
    place: Place,
}

impl Candidate {
    /// A row whose score is not larger than `most`, or very probably not. NaN excludes no row.
    pub(crate) fn new(most: f32, place: Place) -> Self {
        Self { most: if most.is_nan() { f32::INFINITY } else { most }, place }
    }

    /// The highest first, and rows of equal bounds in the order of the file.
    pub(crate) fn order(a: &Self, b: &Self) -> Ordering {
        b.most.total_cmp(&a.most).then(a.place.cmp(&b.place))
    }
}

/// Returns the best of these rows by their f32 scores.
///
/// Scores are computed in the order of what they are at most, until no further row can be among the best. From the
/// first row that is not in memory, pages are requested ahead. Requesting those of rows in memory would be a system call
/// for each row without an effect.
pub(crate) fn rescore(
    index: &Index,
    query: &[f32],
    mut candidates: Vec<Candidate>,
    top_k: usize,
) -> Result<Vec<Scored>, CorpusError> {
    candidates.sort_unstable_by(Candidate::order);
    let mut best = Best::new(top_k);
    let mut scored: Vec<Scored> = Vec::with_capacity(candidates.len());
    candidates.iter().take(LOOK_UP_AHEAD).for_each(|next| index.look_up(next.place));
    candidates.iter().take(PREFETCH_AHEAD).for_each(|next| index.prefetch(next.place));
    let (mut is_cold, mut started) = (false, Instant::now());
    for (number, candidate) in candidates.iter().enumerate() {
        if candidate.most < best.reached() {
            break;
        }
        let next = to_look_up(number).map_while(|next| candidates.get(next));
        next.for_each(|next| index.look_up(next.place));
        if let Some(next) = candidates.get(number + PREFETCH_AHEAD) {
            index.prefetch(next.place);
        }
        let row = index.score(query, candidate.place)?;
        best.add(row.score);
        scored.push(row);
        let after = candidates.get(number + 1..).unwrap_or_default();
        if is_cold {
            after.get(REQUEST_AHEAD - 1).into_iter().for_each(|next| index.will_need(next.place));
        } else if number < TIMED_ROWS || number.is_multiple_of(TIMED_ROWS) {
            let now = Instant::now();
            if now - started > SLOW_ROW {
                is_cold = true;
                after.iter().take(REQUEST_AHEAD).for_each(|next| index.will_need(next.place));
            }
            started = now;
        }
    }
    scored.sort_unstable_by(Scored::order);
    scored.truncate(top_k);
    if is_cold {
        // The texts of the results are probably not in memory either.
        index.request_rows(&scored.iter().map(|row| row.place).collect::<Vec<_>>());
    }
    Ok(scored)
}
