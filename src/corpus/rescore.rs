//! The last step of a search: f32 scores of the rows that can be among the best.

use std::time::Instant;

use super::best::Best;
use super::error::CorpusError;
use super::index::{Index, Place};
use super::search::{SLOW_ROW, Scored};
use super::unit_rows::{LOOK_UP_AHEAD, PREFETCH_AHEAD};

/// A row that can be among the best.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    /// The score of the row is not larger, or very probably not larger.
    pub(crate) most: f32,
    pub(crate) place: Place,
}

/// Returns the best of these rows by their f32 scores.
///
/// Scores are computed in the order of what they are at most, until no further row can be among the best. Pages are
/// requested from the first row that is not in memory, for all rows after it together. Requesting those of rows in
/// memory would be a system call for each row without an effect.
pub(crate) fn rescore(
    index: &Index,
    query: &[f32],
    mut candidates: Vec<Candidate>,
    top_k: usize,
) -> Result<Vec<Scored>, CorpusError> {
    // Rows of equal bounds in the order of the file.
    candidates.sort_unstable_by(|a, b| b.most.total_cmp(&a.most).then(a.place.cmp(&b.place)));
    let mut best = Best::new(top_k);
    let mut scored: Vec<Scored> = Vec::with_capacity(candidates.len());
    candidates.iter().take(LOOK_UP_AHEAD).for_each(|next| index.look_up(next.place));
    candidates.iter().take(PREFETCH_AHEAD).for_each(|next| index.prefetch(next.place));
    let (mut is_requested, mut started) = (false, Instant::now());
    for (number, candidate) in candidates.iter().enumerate() {
        if candidate.most < best.reached() {
            break;
        }
        if let Some(next) = candidates.get(number + LOOK_UP_AHEAD) {
            index.look_up(next.place);
        }
        if let Some(next) = candidates.get(number + PREFETCH_AHEAD) {
            index.prefetch(next.place);
        }
        let row = index.score(query, candidate.place)?;
        best.add(row.score);
        scored.push(row);
        if !is_requested {
            let now = Instant::now();
            if now - started > SLOW_ROW {
                is_requested = true;
                index.will_need(candidates[number + 1..].iter().map(|next| next.place));
            }
            started = now;
        }
    }
    scored.sort_unstable_by(Scored::order);
    scored.truncate(top_k);
    Ok(scored)
}
