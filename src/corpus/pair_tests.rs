//! Mining and clustering give what their definitions give, computed in double precision.

use std::num::NonZeroUsize;

use tempfile::TempDir;

use super::cluster::cluster_rows;
use super::mine::mine_rows;
use super::tests::{build, vector};
use super::unit_rows::{ArrayRows, LiveRows, Panels, UnitRows};
use super::*;
use crate::kernels::{InstructionSet, Kernels};

/// Rows with groups of near ones, and exact duplicates.
fn rows(count: u64) -> Vec<Vec<f32>> {
    (0..count).map(|i| vector(if i % 50 == 49 { i - 30 } else { i })).collect()
}

fn score(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The least difference of scores that rounding cannot undo.
const TOLERANCE: f64 = 1e-6;

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[test]
fn mining_returns_the_best_pairs_among_the_nearest_rows() {
    let rows = rows(700);
    let all: Vec<Vec<f64>> =
        rows.iter().map(|a| rows.iter().map(|b| score(a, b)).collect()).collect();
    for (top_k, max_pairs, count) in [(3, 500, 2), (700, 2_000, 1), (5, 1_000_000, 2), (1, 50, 3)] {
        // The k-th best score of each row, itself excluded.
        let cut = |row: usize| {
            let mut scores: Vec<f64> = (0..rows.len())
                .filter(|&other| other != row)
                .map(|other| all[row][other])
                .collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            scores[top_k.min(scores.len()) - 1]
        };
        let cuts: Vec<f64> = (0..rows.len()).map(cut).collect();
        let mut wanted = Vec::new();
        for a in 0..rows.len() {
            for b in a + 1..rows.len() {
                if all[a][b] >= cuts[a].min(cuts[b]) - TOLERANCE {
                    wanted.push((all[a][b], a, b));
                }
            }
        }
        wanted.sort_by(|x, y| y.0.total_cmp(&x.0));
        let options = MineOptions { top_k, max_pairs, min_score: -1.0, threads: threads(count) };
        let found = mine(&rows, &options).unwrap();
        assert!(found.len() <= max_pairs);
        let certain = |(s, a, b): &(f64, usize, usize)| *s > cuts[*a].min(cuts[*b]) + TOLERANCE;
        let least = if found.len() == max_pairs { found[max_pairs - 1].score } else { -2.0 };
        for pair in &found {
            assert!(pair.a < pair.b);
            assert!((f64::from(pair.score) - all[pair.a][pair.b]).abs() < TOLERANCE);
            assert!(wanted.iter().any(|w| (w.1, w.2) == (pair.a, pair.b)), "{pair:?}");
        }
        for w in wanted.iter().filter(|w| certain(w) && w.0 > f64::from(least) + TOLERANCE) {
            assert!(found.iter().any(|pair| (pair.a, pair.b) == (w.1, w.2)), "{w:?} {top_k}");
        }
        let ordered = found.windows(2).all(|p| {
            p[0].score > p[1].score
                || (p[0].score == p[1].score && (p[0].a, p[0].b) < (p[1].a, p[1].b))
        });
        assert!(ordered);
    }
}

/// The rows with each instruction set of the processor.
fn each_set(rows: &[Vec<f32>]) -> Vec<ArrayRows> {
    let sets = InstructionSet::ALL.into_iter().filter_map(Kernels::of);
    sets.map(|kernels| ArrayRows::new(rows).unwrap().with_kernels(kernels)).collect()
}

#[test]
fn every_instruction_set_finds_the_same_pairs_and_clusters() {
    let rows = rows(600);
    let options = MineOptions { top_k: 8, max_pairs: 400, min_score: -1.0, threads: threads(2) };
    let clusters = ClusterOptions { threshold: 0.4, min_size: 5, ..ClusterOptions::default() };
    let mut found = Vec::new();
    for rows in each_set(&rows) {
        let pairs = mine_rows(&rows, &options).unwrap();
        assert_eq!(pairs.len(), 400, "{:?}", rows.kernels());
        let mut names: Vec<(usize, usize)> = pairs.iter().map(|pair| (pair.a, pair.b)).collect();
        names.sort_unstable();
        found.push((names, cluster_rows(&rows, &clusters).unwrap()));
    }
    assert!(found.len() > 1 && !found[0].1.is_empty());
    assert!(found.iter().all(|one| *one == found[0]));
}

#[test]
fn an_index_mines_with_the_kernels_that_it_was_given() {
    let root = TempDir::new().unwrap();
    let index = build(root.path(), 40);
    for kernels in InstructionSet::ALL.into_iter().filter_map(Kernels::of) {
        let index = index.clone().with_kernels(kernels);
        // Quantized rows differ by instruction set, so the panels tell which one made them.
        let panels = Panels::new(&LiveRows::new(&index));
        assert_eq!(panels.columns().panels.iter().copied().max(), Some(kernels.pair_steps()));
    }
}

#[test]
fn mining_does_not_depend_on_threads_and_respects_the_least_score() {
    let rows = rows(900);
    let of = |count, min_score| {
        let options = MineOptions { top_k: 4, max_pairs: 300, min_score, threads: threads(count) };
        mine(&rows, &options).unwrap()
    };
    assert_eq!(of(1, -1.0), of(4, -1.0));
    let above = of(2, 0.95);
    assert!(!above.is_empty() && above.iter().all(|pair| pair.score >= 0.95));
    assert_eq!(above[..], of(2, -1.0)[..above.len()]);
    assert_eq!(mine(&rows[..1], &MineOptions::default()).unwrap(), []);
    assert_eq!(mine::<Vec<f32>>(&[], &MineOptions::default()).unwrap(), []);
}

/// The definition, in double precision.
fn communities(rows: &[Vec<f32>], threshold: f64, min_size: usize) -> Vec<Vec<usize>> {
    let community = |row: usize| {
        let mut members: Vec<(f64, usize)> = (0..rows.len())
            .filter(|&other| other != row)
            .map(|other| (score(&rows[row], &rows[other]), other))
            .filter(|(score, _)| *score >= threshold)
            .collect();
        members.sort_by(|a, b| b.0.total_cmp(&a.0));
        std::iter::once(row).chain(members.into_iter().map(|(_, row)| row)).collect::<Vec<_>>()
    };
    let mut all: Vec<Vec<usize>> =
        (0..rows.len()).map(community).filter(|members| members.len() >= min_size).collect();
    all.sort_by_key(|members| std::cmp::Reverse(members.len()));
    let mut used = vec![false; rows.len()];
    let mut taken: Vec<Vec<usize>> = Vec::new();
    for members in all {
        if used[members[0]] {
            continue;
        }
        let free: Vec<usize> = members.into_iter().filter(|&row| !used[row]).collect();
        if free.len() >= min_size {
            free.iter().for_each(|&row| used[row] = true);
            taken.push(free);
        }
    }
    taken.sort_by_key(|members| std::cmp::Reverse(members.len()));
    taken
}

#[test]
fn clusters_are_those_of_the_definition() {
    let rows: Vec<Vec<f32>> = (0..800).map(vector).collect();
    for (threshold, min_size) in [(0.4f32, 5), (0.45, 10), (0.3, 3), (0.9, 2), (0.99, 1)] {
        let wanted = communities(&rows, f64::from(threshold), min_size);
        for (pair_bytes, count) in [(64 << 20, 2), (1_000, 2), (0, 1)] {
            let options =
                ClusterOptions { threshold, min_size, pair_bytes, threads: threads(count) };
            let found = cluster(&rows, &options).unwrap();
            assert_eq!(found, wanted, "{options:?}");
        }
        if threshold < 0.5 {
            assert!(wanted.len() > 3, "the rows have groups: {}", wanted.len());
        }
    }
    let few = ClusterOptions { min_size: 801, ..ClusterOptions::default() };
    assert_eq!(cluster(&rows, &few).unwrap(), Vec::<Vec<usize>>::new());
}

#[test]
fn a_label_has_either_a_word_or_its_plural() {
    let rows: Vec<Vec<f32>> = (0..4).map(vector).collect();
    let texts = ["a bird", "birds sing", "the bird sings", "glass and glasses"];
    let found = labels(&rows, &texts, &[vec![0, 1, 2], vec![3]]).unwrap();
    assert_eq!(found[0].words, ["bird", "sing"]);
    assert_eq!(found[1].words, ["glass", "glasses"]);
}
