//! A map: a point in the plane for each row, so that near rows are near on the map.
//!
//! The start is a projection onto two directions of large variance. Then, as in UMAP
//! (<https://arxiv.org/abs/1802.03426>, algorithm 5), rows that are neighbors attract each other and
//! pairs drawn at random repel each other, with the curve `1 / (1 + a d^(2b))` for a minimum distance of 0.1.

use super::error::CorpusError;
use super::index::Index;
use super::mine::{MineOptions, mine_rows};
use super::unit_rows::{ArrayRows, LiveRows, UnitRows};

/// Neighbors of a row.
const NEIGHBORS: usize = 15;

/// Pairs of neighbors for each row, on average.
const PAIRS_A_ROW: usize = 6;

/// Rounds over all neighbors.
const ROUNDS: usize = 200;

/// Random pairs for each pair of neighbors.
const REPELLED: usize = 5;

/// The curve of a minimum distance of 0.1 and a spread of 1.
///
/// Source: umap-learn, `find_ab_params`.
const A: f32 = 1.577;
const B: f32 = 0.895;

/// The largest step in one dimension.
const MAX_STEP: f32 = 4.0;

/// Returns a point for each row. `rows` are vectors `[dim]`, f32; they are normalized. The same rows give
/// the same map.
///
/// # Errors
/// - [`CorpusError::WrongDimensions`], [`CorpusError::DegenerateVector`] if a row is invalid.
pub fn map<R: AsRef<[f32]>>(rows: &[R]) -> Result<Vec<[f32; 2]>, CorpusError> {
    map_rows(&ArrayRows::new(rows)?)
}

impl Index {
    /// Returns a point for each live row, as [`map`]. The order is that of [`Index::rows`].
    ///
    /// # Errors
    /// - [`CorpusError`] if the index is damaged.
    pub fn map(&self) -> Result<Vec<[f32; 2]>, CorpusError> {
        map_rows(&LiveRows::new(self))
    }
}

fn map_rows(rows: &dyn UnitRows) -> Result<Vec<[f32; 2]>, CorpusError> {
    let mut points = projection(rows);
    // Rows that are far from all others have no neighbors; random pairs move them aside.
    let max_pairs = rows.len().saturating_mul(PAIRS_A_ROW);
    let options = MineOptions { top_k: NEIGHBORS, max_pairs, ..MineOptions::default() };
    let pairs = mine_rows(rows, &options)?;
    let least = pairs.last().map_or(0.0, |pair| pair.score);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let count = points.len();
    for round in 0..ROUNDS {
        let rate = 1.0 - round as f32 / ROUNDS as f32;
        for pair in &pairs {
            // Near pairs attract each other in every round, far ones in a few.
            let weight = (pair.score - least) / (1.0 - least).max(f32::EPSILON);
            if random.unit() > 0.2 + 0.8 * weight {
                continue;
            }
            let step = attraction(points[pair.a], points[pair.b]);
            for axis in 0..2 {
                points[pair.a][axis] += rate * step[axis];
                points[pair.b][axis] -= rate * step[axis];
            }
            for _ in 0..REPELLED {
                let other = random.below(count);
                if other != pair.a {
                    let step = repulsion(points[pair.a], points[other]);
                    for axis in 0..2 {
                        points[pair.a][axis] += rate * step[axis];
                    }
                }
            }
        }
    }
    Ok(points)
}

fn difference(from: [f32; 2], to: [f32; 2]) -> ([f32; 2], f32) {
    let apart = [from[0] - to[0], from[1] - to[1]];
    (apart, apart[0] * apart[0] + apart[1] * apart[1])
}

/// What is added to `a` to bring it closer to `b`.
fn attraction(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    let (apart, square) = difference(a, b);
    if square <= 0.0 {
        return [0.0; 2];
    }
    let factor = -2.0 * A * B * square.powf(B - 1.0) / (1.0 + A * square.powf(B));
    apart.map(|x| (factor * x).clamp(-MAX_STEP, MAX_STEP))
}

/// What is added to `a` to take it away from `b`.
fn repulsion(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    let (apart, square) = difference(a, b);
    let factor = 2.0 * B / ((0.001 + square) * (1.0 + A * square.powf(B)));
    apart.map(|x| (factor * x).clamp(-MAX_STEP, MAX_STEP))
}

/// Projects rows onto the two directions of the largest variance, by power iteration over a sample, and
/// scales them to about 10 units.
fn projection(rows: &dyn UnitRows) -> Vec<[f32; 2]> {
    const SAMPLE: usize = 2_000;
    let (count, dim) = (rows.len(), rows.dim());
    let sample: Vec<Vec<f32>> = (0..count)
        .step_by(count.div_ceil(SAMPLE).max(1))
        .map(|r| rows.get(r).into_owned())
        .collect();
    let mut mean = vec![0.0f32; dim];
    for row in &sample {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / sample.len() as f32);
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let mut random = Random(7);
    let mut axes: Vec<Vec<f32>> = Vec::new();
    for _ in 0..2 {
        let mut axis: Vec<f32> = (0..dim).map(|_| random.unit() - 0.5).collect();
        for _ in 0..20 {
            let mut next = vec![0.0f32; dim];
            for row in &sample {
                let along = dot(row, &axis) - dot(&mean, &axis);
                next.iter_mut()
                    .zip(row.iter().zip(&mean))
                    .for_each(|(n, (x, m))| *n += along * (x - m));
            }
            for known in &axes {
                let along = dot(&next, known);
                next.iter_mut().zip(known).for_each(|(n, k)| *n -= along * k);
            }
            let length = dot(&next, &next).sqrt().max(f32::MIN_POSITIVE);
            axis = next.into_iter().map(|x| x / length).collect();
        }
        axes.push(axis);
    }
    let mut points: Vec<[f32; 2]> = (0..count)
        .map(|row| {
            let row = rows.get(row);
            [dot(&row, &axes[0]) - dot(&mean, &axes[0]), dot(&row, &axes[1]) - dot(&mean, &axes[1])]
        })
        .collect();
    let most = points.iter().flatten().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    for point in &mut points {
        // Equal rows need a direction to part.
        *point = point.map(|x| x / most * 10.0 + (random.unit() - 0.5) * 1e-3);
    }
    points
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }
}
