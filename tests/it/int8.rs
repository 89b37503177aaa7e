//! The int8 model: its difference from the golden vectors, and from itself in another batch.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use ndarray::{Array2, ArrayView2};
use semblance::Model;
use semblance_test_support::{int8_bundle, load};

use crate::golden::{Golden, golden};

/// Maximum mean and maximum difference of the score of two texts.
const MEAN_TOLERANCE: f64 = 0.006;
const LARGEST_TOLERANCE: f64 = 0.04;
/// Minimum rank correlation of the scores of all pairs (Spearman's rho).
const LEAST_RANK_AGREEMENT: f64 = 0.995;
/// Maximum difference of an element between a text embedded alone and in a batch.
const BATCH_TOLERANCE: f32 = 1e-3;

fn int8_model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load(&int8_bundle(), None, NonZeroUsize::MIN))
}

/// Returns the score of each pair of different rows.
fn scores(rows: ArrayView2<'_, f32>) -> Vec<f64> {
    let all = rows.dot(&rows.t());
    let pairs = (0..rows.nrows()).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs.map(|pair| f64::from(all[pair])).collect()
}

/// Returns the rank of each value. Equal values have the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for equal in order.chunk_by(|&a, &b| values[a].total_cmp(&values[b]).is_eq()) {
        let first = order.partition_point(|&index| values[index] < values[equal[0]]);
        for &index in equal {
            ranks[index] = first as f64 + (equal.len() - 1) as f64 / 2.0;
        }
    }
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    product / (square_a * square_b).sqrt()
}

fn expected(golden: &Golden) -> Array2<f32> {
    let rows = golden.texts.iter().flat_map(|text| text.embedding.iter().copied());
    let shape = (golden.texts.len(), golden.texts[0].embedding.len());
    Array2::from_shape_vec(shape, rows.collect()).unwrap()
}

#[test]
fn scores_are_close_to_sentence_transformers() {
    let golden = golden();
    let texts: Vec<String> = golden.texts.iter().map(|text| text.text.clone()).collect();
    let found = scores(int8_model().embed(&texts).unwrap().view());
    let expected = scores(expected(&golden).view());
    let errors: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let largest = errors.iter().copied().fold(0.0, f64::max);
    let agreement = correlation(&ranks(&found), &ranks(&expected));
    println!(
        "int8: {} pairs, score error mean {mean:.4}, largest {largest:.4}, Spearman {agreement:.4}",
        errors.len()
    );
    assert!(mean <= MEAN_TOLERANCE, "{mean}");
    assert!(largest <= LARGEST_TOLERANCE, "{largest}");
    assert!(agreement >= LEAST_RANK_AGREEMENT, "{agreement}");
}

#[test]
fn an_int8_embedding_does_not_depend_on_its_batch() {
    let texts: Vec<String> = golden().texts.into_iter().map(|text| text.text).collect();
    let among = int8_model().embed(&texts).unwrap();
    let mut largest = 0.0f32;
    for (index, text) in texts.iter().enumerate().step_by(10) {
        let alone = int8_model().embed(&[text]).unwrap();
        for (a, b) in alone.row(0).iter().zip(among.row(index)) {
            largest = largest.max((a - b).abs());
        }
    }
    println!("int8: largest difference of an element, alone and in a batch {largest:e}");
    assert!(largest <= BATCH_TOLERANCE, "{largest:e}");
}
