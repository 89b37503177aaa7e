//! Mining: the pairs of rows with the highest scores.
//!
//! Source: sentence-transformers 6.2.0, `util/retrieval.py`, `paraphrase_mining_embeddings`. Its pairs
//! are those of the `top_k` nearest rows of each row; the best `max_pairs` of them are returned. Where it
//! leaves the order of equal scores open, the order here is that of the rows.

use std::cmp::Ordering;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use super::error::CorpusError;
use super::index::Index;
use super::pairs::{each_pair, score};
use super::unit_rows::{ArrayRows, LiveRows, Panels, UnitRows};

/// How to mine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MineOptions {
    /// Number of nearest rows of each row that are considered. The default is 100.
    pub top_k: usize,
    /// Maximum number of pairs. The default is 500,000.
    pub max_pairs: usize,
    /// The least score of a pair. The default is -1.
    pub min_score: f32,
    /// Number of threads. The default is the number of CPUs.
    pub threads: NonZeroUsize,
}

impl Default for MineOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { top_k: 100, max_pairs: 500_000, min_score: -1.0, threads }
    }
}

/// Two rows and their score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Their cosine similarity.
    pub score: f32,
    /// Number of the first row.
    pub a: usize,
    /// Number of the second row, greater than that of the first.
    pub b: usize,
}

/// Returns the pairs of rows with the highest scores: by score, highest first, then by rows. `rows`
/// are vectors `[dim]`, f32; they are normalized.
///
/// # Errors
/// - [`CorpusError::WrongDimensions`], [`CorpusError::DegenerateVector`] if a row is invalid.
pub fn mine<R: AsRef<[f32]>>(rows: &[R], options: &MineOptions) -> Result<Vec<Pair>, CorpusError> {
    mine_rows(&ArrayRows::new(rows)?, options)
}

impl Index {
    /// Returns the pairs of live rows with the highest scores, as [`mine`]. The numbers are those of
    /// [`Index::rows`].
    ///
    /// # Errors
    /// - [`CorpusError`] if the index is damaged.
    pub fn mine(&self, options: &MineOptions) -> Result<Vec<Pair>, CorpusError> {
        mine_rows(&LiveRows::new(self), options)
    }
}

/// Pairs of the sample that guesses the threshold.
const SAMPLE: usize = 1_000_000;

/// Returns the rank in the sample of a score that enough pairs reach, if this many of the sample are
/// wanted. The number of sampled pairs above a score has a Poisson distribution, whose standard deviation
/// is the square root of its mean; the margin is four of these.
fn safe_rank(wanted: f64) -> usize {
    (wanted + 4.0 * wanted.sqrt() + 4.0) as usize
}

pub(crate) fn mine_rows(
    rows: &dyn UnitRows,
    options: &MineOptions,
) -> Result<Vec<Pair>, CorpusError> {
    let count = rows.len();
    if count < 2 || options.top_k == 0 || options.max_pairs == 0 {
        return Ok(Vec::new());
    }
    let panels = Panels::new(rows);
    let mut sample = sample(rows)?;
    let all = count as f64 * (count - 1) as f64 / 2.0;
    let mut wanted = options.max_pairs as f64;
    loop {
        // Above the guess there are at least as many pairs as in the sample, in proportion.
        let rank = safe_rank(wanted / all * sample.len() as f64);
        let guess = match rank < sample.len() {
            true => *sample.select_nth_unstable_by(rank, |a, b| b.total_cmp(a)).1,
            false => f32::NEG_INFINITY,
        };
        let least = guess.max(options.min_score);
        let pairs = pairs_above(rows, &panels, least, options)?;
        if pairs.len() >= options.max_pairs || least <= options.min_score {
            return Ok(pairs);
        }
        wanted *= 4.0;
    }
}

/// Returns scores of pairs all over the corpus.
fn sample(rows: &dyn UnitRows) -> Result<Vec<f32>, CorpusError> {
    let count = rows.len();
    let step = (count as f64 * count as f64 / SAMPLE as f64).sqrt().ceil().max(1.0) as usize;
    let mut scores = Vec::new();
    for a in (0..count).step_by(step) {
        // Other rows than those of the outer loop, so that no row is compared with itself.
        for b in (a % (step + 1)..count).step_by(step) {
            if a != b {
                scores.push(score(rows, a, b)?);
            }
        }
    }
    Ok(scores)
}

/// The best rows for one row.
#[derive(Default)]
struct Nearest(Vec<(f32, u32)>);

impl Nearest {
    fn push(&mut self, score: f32, row: u32, top_k: usize) {
        self.0.push((score, row));
        if self.0.len() >= top_k.saturating_mul(2) {
            self.keep(top_k);
        }
    }

    fn keep(&mut self, top_k: usize) {
        if self.0.len() > top_k {
            self.0.select_nth_unstable_by(top_k, best_first);
            self.0.truncate(top_k);
        }
    }
}

fn best_first(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

fn pairs_above(
    rows: &dyn UnitRows,
    panels: &Panels,
    least: f32,
    options: &MineOptions,
) -> Result<Vec<Pair>, CorpusError> {
    let nearest: Vec<Mutex<Nearest>> = (0..rows.len()).map(|_| Mutex::default()).collect();
    let push = |row: u32, other: u32, score: f32| {
        let mut list = nearest[row as usize].lock().unwrap_or_else(PoisonError::into_inner);
        list.push(score, other, options.top_k);
    };
    each_pair(rows, panels, least, options.threads, &|a, b, score| {
        push(a, b, score);
        push(b, a, score);
    })?;
    let mut pairs = Vec::new();
    for (row, list) in nearest.into_iter().enumerate() {
        let mut list = list.into_inner().unwrap_or_else(PoisonError::into_inner);
        list.keep(options.top_k);
        let pair = |(score, other): (f32, u32)| {
            let other = other as usize;
            Pair { score, a: row.min(other), b: row.max(other) }
        };
        pairs.extend(list.0.into_iter().map(pair));
    }
    pairs.sort_unstable_by(|x: &Pair, y: &Pair| {
        y.score.total_cmp(&x.score).then((x.a, x.b).cmp(&(y.a, y.b)))
    });
    pairs.dedup_by_key(|pair| (pair.a, pair.b));
    pairs.truncate(options.max_pairs);
    Ok(pairs)
}
