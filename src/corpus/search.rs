//! Search: the rows nearest to queries.
//!
//! A search is exact if it scans the 8-bit codes, whose error is bounded, and computes in f32 every row
//! that the bound does not exclude. An approximate search counts different sign bits, estimates the
//! scores of the nearest rows from the same bits, and computes the best of these in f32. Scores are
//! always f32 cosine similarities.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::approximate::approximate;
use super::bits::Bits;
use super::error::CorpusError;
use super::exact::exact;
use super::filter::Filter;
use super::index::{Index, Place, Row};
use super::manifest::Recall;
use super::segment::RowStep;
use super::unit::unit;
use crate::bundle::map::{self, Mmap};

/// How to search.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOptions {
    /// Number of rows to return for each query. The default is 10.
    pub top_k: usize,
    /// Which rows to search; all if absent.
    pub filter: Option<Filter>,
    /// Whether the search must be exact. By default, the number of rows decides.
    pub exact: bool,
    /// The largest number of rows, after the filter, that are searched exactly by default. The default
    /// is 50,000.
    pub exact_rows: usize,
    /// Maximum number of threads. A scan of few rows uses one. The default is the number of CPUs.
    pub threads: NonZeroUsize,
}

/// The default of [`SearchOptions::exact_rows`].
pub(crate) const EXACT_ROWS: usize = 50_000;

impl Default for SearchOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { top_k: 10, filter: None, exact: false, exact_rows: EXACT_ROWS, threads }
    }
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOutput {
    /// Whether no row can be missing.
    pub exact: bool,
    /// Number of rows that were searched: live rows that pass the filter.
    pub searched: usize,
    /// The rows of each query, best first. Rows of equal scores are in the order in which they were
    /// added.
    pub hits: Vec<Vec<Hit>>,
}

/// A row that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its cosine similarity to the query.
    pub score: f32,
    /// The row.
    pub row: Row,
}

/// A row and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) score: f32,
    pub(crate) place: Place,
}

impl Scored {
    /// Best first, ties in the order of rows.
    pub(crate) fn order(a: &Self, b: &Self) -> std::cmp::Ordering {
        b.score.total_cmp(&a.score).then(a.place.cmp(&b.place))
    }
}

/// Reading a row takes longer than this only if a page had to be read from a disk. A row in memory takes less than a
/// microsecond, and a network file system more than 300. Interruptions of the processor are mostly shorter.
pub(crate) const SLOW_ROW: Duration = Duration::from_micros(100);

/// Rows of a corpus whose nearest rows are known, for the measurement of recall.
const RECALL_QUERIES: usize = 200;

impl Index {
    /// Searches for several queries at once, each `[dim]`, f32. They share one scan. Queries are
    /// normalized.
    ///
    /// # Errors
    /// - [`CorpusError::WrongDimensions`], [`CorpusError::DegenerateVector`] if a query is invalid.
    /// - [`CorpusError::UnknownColumn`] if the filter names a column that the index does not have.
    /// - [`CorpusError::Damaged`] if a file of the index is damaged.
    pub fn search<Q: AsRef<[f32]>>(
        &self,
        queries: &[Q],
        options: &SearchOptions,
    ) -> Result<SearchOutput, CorpusError> {
        let dim = self.manifest().vectors.dimensions;
        let normalize = |(index, query): (usize, &Q)| {
            unit(query.as_ref(), dim).map_err(|error| match error {
                CorpusError::DegenerateVector { .. } => CorpusError::DegenerateVector { index },
                other => other,
            })
        };
        let queries: Vec<Vec<f32>> =
            queries.iter().enumerate().map(normalize).collect::<Result<_, _>>()?;
        let allowed = self.allowed(options.filter.as_ref())?;
        let searched = allowed.iter().map(Bits::count).sum();
        let is_exact = options.exact || searched <= options.exact_rows;
        let found = self.nearest(&queries, &allowed, options.top_k, is_exact, options.threads)?;
        let places: Vec<Place> = found.iter().flatten().map(|scored| scored.place).collect();
        let mut rows = self.read_rows(&places)?.into_iter();
        // Rounding can exceed 1.
        let hit = |(scored, row): (Scored, Row)| Hit { score: scored.score.clamp(-1.0, 1.0), row };
        let hits = found.into_iter().map(|list| list.into_iter().zip(&mut rows).map(hit).collect());
        Ok(SearchOutput { exact: is_exact, searched, hits: hits.collect() })
    }

    /// Reads rows. From the first one that is not in memory, the pages of all rows after it are
    /// requested together.
    fn read_rows(&self, places: &[Place]) -> Result<Vec<Row>, CorpusError> {
        let mut is_requested = self.prefetch_rows(places);
        let mut rows = Vec::with_capacity(places.len());
        for (number, &place) in places.iter().enumerate() {
            let started = Instant::now();
            rows.push(self.row(place)?);
            if !is_requested && started.elapsed() > SLOW_ROW {
                self.request_rows(&places[number + 1..]);
                is_requested = true;
            }
        }
        Ok(rows)
    }

    /// Brings what rows need into the cache. Each step finds the places of the next. If a row is not in memory, this
    /// requests the pages of all rows instead, and returns true.
    fn prefetch_rows(&self, places: &[Place]) -> bool {
        for step in RowStep::ALL {
            for place in places {
                let started = Instant::now();
                self.each_part(place, step, |map, part| {
                    self.kernels.prefetch(map.get(part).unwrap_or_default());
                });
                if started.elapsed() > SLOW_ROW {
                    self.request_rows(places);
                    return true;
                }
            }
        }
        false
    }

    /// Requests the pages of rows from the disk. Each step finds those of the next.
    pub(crate) fn request_rows(&self, places: &[Place]) {
        for step in RowStep::ALL {
            for place in places {
                self.each_part(place, step, map::request);
            }
        }
    }

    fn each_part(&self, place: &Place, step: RowStep, visit: impl FnMut(&Mmap, Range<usize>)) {
        self.parts[place.part as usize].segment.each_part(place.row as usize, step, visit);
    }

    fn allowed(&self, filter: Option<&Filter>) -> Result<Vec<Bits>, CorpusError> {
        if let Some(filter) = filter {
            filter.check(self.parts.iter().map(|part| &*part.segment))?;
        }
        let rows = self.parts.iter().map(|part| {
            let mut rows = part.live.clone();
            if let Some(filter) = filter {
                rows.and(&filter.rows(&part.segment)?);
            }
            Ok(rows)
        });
        rows.collect()
    }

    /// Returns the nearest rows of unit queries, best first.
    pub(crate) fn nearest(
        &self,
        queries: &[Vec<f32>],
        allowed: &[Bits],
        top_k: usize,
        is_exact: bool,
        threads: NonZeroUsize,
    ) -> Result<Vec<Vec<Scored>>, CorpusError> {
        if top_k == 0 {
            return Ok(vec![Vec::new(); queries.len()]);
        }
        match is_exact {
            true => exact(self, queries, allowed, top_k, threads),
            false => approximate(self, queries, allowed, top_k, threads),
        }
    }

    /// The score of a row, and so of every search.
    pub(crate) fn score(&self, query: &[f32], place: Place) -> Result<Scored, CorpusError> {
        let (segment, row) = (&self.parts[place.part as usize].segment, place.row as usize);
        let mut score = [0.0];
        self.kernels.dots(query, &segment.vector(row), &mut score)?;
        match score[0].is_finite() {
            true => Ok(Scored { score: score[0], place }),
            false => Err(segment.no_score(row)),
        }
    }

    /// Brings the vector of a row into the cache, if its page is in memory. Does not wait.
    pub(crate) fn prefetch(&self, place: Place) {
        self.kernels.prefetch_far(self.vector_bytes(place));
    }

    /// Makes the processor look up the pages of the vector of a row, so that [`prefetch`](Self::prefetch) has an effect
    /// later. Does not wait.
    pub(crate) fn look_up(&self, place: Place) {
        self.kernels.look_up(self.vector_bytes(place));
    }

    fn vector_bytes(&self, place: Place) -> &[u8] {
        self.parts[place.part as usize].segment.vector_bytes(place.row as usize)
    }

    /// Requests the pages of the vector of a row from the disk. Does not wait.
    pub(crate) fn will_need(&self, place: Place) {
        self.parts[place.part as usize].segment.will_need(place.row as usize);
    }

    /// Searches for a sample of the rows, approximately and exactly. None if there are fewer than two
    /// rows.
    pub(crate) fn measure_recall(&self) -> Result<Option<Recall>, CorpusError> {
        let places = self.places();
        if places.len() < 2 {
            return Ok(None);
        }
        let step = places.len().div_ceil(RECALL_QUERIES);
        let sample: Vec<Place> = places.into_iter().step_by(step).collect();
        let vector = |place: &Place| {
            self.parts[place.part as usize].segment.vector(place.row as usize).into_owned()
        };
        let allowed = self.allowed(None)?;
        let threads = SearchOptions::default().threads;
        let (mut wanted, mut found) = (0, 0);
        for chunk in sample.chunks(16) {
            let queries: Vec<Vec<f32>> = chunk.iter().map(vector).collect();
            // The row itself is always found; it does not count.
            let exact = self.nearest(&queries, &allowed, 11, true, threads)?;
            let approximate = self.nearest(&queries, &allowed, 11, false, threads)?;
            for ((place, exact), approximate) in chunk.iter().zip(&exact).zip(&approximate) {
                let others: Vec<&Scored> =
                    exact.iter().filter(|scored| scored.place != *place).take(10).collect();
                // A row with the score of the last one is as near as it.
                let least = others.last().map_or(f32::NEG_INFINITY, |scored| scored.score);
                let near = approximate.iter().filter(|s| s.place != *place && s.score >= least);
                wanted += others.len();
                found += near.count().min(others.len());
            }
        }
        let queries = sample.len() as u64;
        Ok(Some(Recall { queries, at_10: found as f64 / wanted as f64 }))
    }
}
