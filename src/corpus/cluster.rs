//! Clustering: groups of rows around a center.
//!
//! Source: sentence-transformers 6.2.0, `util/retrieval.py`, `community_detection`. The community of a
//! row are the rows whose score with it reaches the threshold. The largest communities are taken first; a
//! row is in one cluster at most, and a center that is taken already gives none. Where the source leaves
//! the order of equal scores open, the order here is that of the rows.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::CorpusError;
use super::index::Index;
use super::pairs::{each_pair, score};
use super::unit_rows::{ArrayRows, LiveRows, Panels, UnitRows};
use crate::threads::{Job, start};

/// How to cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterOptions {
    /// The least score of a row with the center of its cluster. The default is 0.75.
    pub threshold: f32,
    /// Minimum number of rows of a cluster. The default is 10.
    pub min_size: usize,
    /// Memory for the pairs above the threshold. If they need more, the pairs of a row are computed
    /// again when the row is visited. The default is 64 MiB.
    pub pair_bytes: usize,
    /// Number of threads. The default is the number of CPUs.
    pub threads: NonZeroUsize,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threshold: 0.75, min_size: 10, pair_bytes: 64 << 20, threads }
    }
}

/// A cluster: numbers of rows, the center first, then by their score with it, highest first.
pub type Cluster = Vec<usize>;

/// Returns the clusters of rows, largest first. `rows` are vectors `[dim]`, f32; they are normalized.
///
/// # Errors
/// - [`CorpusError::WrongDimensions`], [`CorpusError::DegenerateVector`] if a row is invalid.
pub fn cluster<R: AsRef<[f32]>>(
    rows: &[R],
    options: &ClusterOptions,
) -> Result<Vec<Cluster>, CorpusError> {
    cluster_rows(&ArrayRows::new(rows)?, options)
}

impl Index {
    /// Returns the clusters of the live rows, as [`cluster`]. The numbers are those of [`Index::rows`].
    ///
    /// # Errors
    /// - [`CorpusError`] if the index is damaged.
    pub fn cluster(&self, options: &ClusterOptions) -> Result<Vec<Cluster>, CorpusError> {
        cluster_rows(&LiveRows::new(self), options)
    }
}

/// A pair of rows and its score.
type Edge = (u32, u32, f32);

pub(super) fn cluster_rows(
    rows: &dyn UnitRows,
    options: &ClusterOptions,
) -> Result<Vec<Cluster>, CorpusError> {
    let count = rows.len();
    let min_size = options.min_size.max(1);
    if count < min_size {
        return Ok(Vec::new());
    }
    let panels = Panels::new(rows);
    let sizes: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
    let edges: Mutex<Vec<Edge>> = Mutex::default();
    let limit = options.pair_bytes / size_of::<Edge>();
    let is_full = AtomicBool::new(false);
    each_pair(rows, &panels, options.threshold, options.threads, &|a, b, score| {
        sizes[a as usize].fetch_add(1, Ordering::Relaxed);
        sizes[b as usize].fetch_add(1, Ordering::Relaxed);
        if is_full.load(Ordering::Relaxed) {
            return;
        }
        let mut edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
        if edges.len() < limit {
            edges.push((a, b, score));
        } else {
            is_full.store(true, Ordering::Relaxed);
            *edges = Vec::new();
        }
    })?;
    drop(panels);
    let mut sizes: Vec<u32> = sizes.into_iter().map(AtomicU32::into_inner).collect();
    for (row, size) in sizes.iter_mut().enumerate() {
        // A row belongs to its own community, unless the threshold is above what rounding leaves of 1.
        *size += u32::from(score(rows, row, row)? >= options.threshold);
    }
    let edges = edges.into_inner().unwrap_or_else(PoisonError::into_inner);
    let neighbors = if is_full.into_inner() {
        Neighbors::Computed { rows, threshold: options.threshold, threads: options.threads }
    } else {
        Neighbors::stored(edges, count)
    };
    let mut candidates: Vec<usize> =
        (0..count).filter(|&row| sizes[row] as usize >= min_size).collect();
    candidates.sort_by_key(|&row| std::cmp::Reverse(sizes[row]));
    let mut is_used = vec![false; count];
    let mut clusters: Vec<Cluster> = Vec::new();
    for center in candidates {
        if is_used[center] {
            continue;
        }
        let mut members: Vec<(f32, usize)> =
            neighbors.of(center)?.into_iter().filter(|(_, row)| !is_used[*row]).collect();
        if members.len() + 1 < min_size {
            continue;
        }
        members.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let cluster: Cluster =
            std::iter::once(center).chain(members.into_iter().map(|(_, row)| row)).collect();
        cluster.iter().for_each(|&row| is_used[row] = true);
        clusters.push(cluster);
    }
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.len()));
    Ok(clusters)
}

/// The rows whose score with a row reaches the threshold, without the row itself.
enum Neighbors<'a> {
    /// Row `i` has the entries from `starts[i]` up to `starts[i + 1]`.
    Stored {
        starts: Vec<usize>,
        entries: Vec<(f32, u32)>,
    },
    Computed {
        rows: &'a dyn UnitRows,
        threshold: f32,
        threads: NonZeroUsize,
    },
}

impl Neighbors<'_> {
    fn stored(edges: Vec<Edge>, count: usize) -> Self {
        let mut starts = vec![0usize; count + 1];
        for (a, b, _) in &edges {
            starts[*a as usize + 1] += 1;
            starts[*b as usize + 1] += 1;
        }
        for row in 0..count {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0.0, 0); 2 * edges.len()];
        for (a, b, score) in edges {
            for (row, other) in [(a, b), (b, a)] {
                let at = &mut next[row as usize];
                entries[*at] = (score, other);
                *at += 1;
            }
        }
        Self::Stored { starts, entries }
    }

    fn of(&self, row: usize) -> Result<Vec<(f32, usize)>, CorpusError> {
        match self {
            Self::Stored { starts, entries } => {
                let entries = &entries[starts[row]..starts[row + 1]];
                Ok(entries.iter().map(|&(score, other)| (score, other as usize)).collect())
            }
            Self::Computed { rows, threshold, threads } => {
                computed(*rows, row, *threshold, *threads)
            }
        }
    }
}

/// Rows that a thread compares at a time.
const CHUNK_ROWS: usize = 4_096;

fn computed(
    rows: &dyn UnitRows,
    row: usize,
    threshold: f32,
    threads: NonZeroUsize,
) -> Result<Vec<(f32, usize)>, CorpusError> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(f32, usize)>> = Mutex::default();
    let work = || -> Result<(), CorpusError> {
        loop {
            let start = next.fetch_add(CHUNK_ROWS, Ordering::Relaxed);
            if start >= rows.len() {
                return Ok(());
            }
            for other in start..(start + CHUNK_ROWS).min(rows.len()) {
                let score = score(rows, row, other)?;
                if score >= threshold && other != row {
                    found.lock().unwrap_or_else(PoisonError::into_inner).push((score, other));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get()).map(|_| start(scope, work)).collect();
        let own = work();
        others.into_iter().map(Job::join).fold(own, Result::and)
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}
