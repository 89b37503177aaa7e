//! Similarity functions and ranking.

use std::fmt;

use ndarray::{ArrayView1, Zip};
use serde::Deserialize;

/// The function that scores two embeddings. A higher score means more similar.
///
/// Source: `SimilarityFunction` of sentence-transformers (`util/similarity.py`), which a model names
/// in the field `similarity_fn_name` of `config_sentence_transformers.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimilarityFunction {
    /// `a·b / (|a||b|)`, in [-1, 1].
    #[default]
    Cosine,
    /// `a·b`.
    Dot,
    /// `-|a - b|` with the L2 norm, at most 0.
    Euclidean,
    /// `-|a - b|` with the L1 norm, at most 0.
    Manhattan,
}

impl fmt::Display for SimilarityFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclidean => "euclidean",
            Self::Manhattan => "manhattan",
        })
    }
}

impl SimilarityFunction {
    /// Returns the score of two vectors `[dim]`, f32. For [`Cosine`](Self::Cosine) they have unit
    /// length; for the other functions they have the length that the model gives them.
    ///
    /// # Examples
    /// ```
    /// use ndarray::array;
    /// use semblance::info::SimilarityFunction;
    ///
    /// let (a, b) = (array![3.0, 4.0], array![0.0, 0.0]);
    /// assert_eq!(SimilarityFunction::Euclidean.score(a.view(), b.view()), -5.0);
    /// assert_eq!(SimilarityFunction::Manhattan.score(a.view(), b.view()), -7.0);
    /// ```
    #[must_use]
    pub fn score(self, a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
        match self {
            Self::Cosine => cosine(a, b),
            Self::Dot => a.dot(&b),
            Self::Euclidean => -sum(a, b, |difference| difference * difference).sqrt(),
            Self::Manhattan => -sum(a, b, f32::abs),
        }
    }
}

/// Returns the sum of `part` over the differences of two vectors.
fn sum(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>, part: impl Fn(f32) -> f32) -> f32 {
    Zip::from(a).and(b).fold(0.0, |sum, &a, &b| sum + part(a - b))
}

/// Returns the cosine similarity of two unit vectors, in [-1, 1].
///
/// `a` and `b` are `[dim]`, f32, of unit length. The cosine `a·b / (|a||b|)` is therefore their dot
/// product. It is clamped, because rounding can exceed ±1.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use semblance::internals::vector::cosine;
///
/// assert_eq!(cosine(array![0.6, 0.8].view(), array![1.0, 0.0].view()), 0.6);
/// ```
#[must_use]
pub fn cosine(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    a.dot(&b).clamp(-1.0, 1.0)
}

/// Returns the indices of the `top_k` highest scores, highest first. Ties are in index order.
///
/// # Examples
/// ```
/// use semblance::internals::vector::rank;
///
/// assert_eq!(rank(&[0.1, 0.9, 0.9, 0.5], 3), [1, 2, 3]);
/// ```
#[must_use]
pub fn rank(scores: &[f32], top_k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(top_k);
    order
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;
    use crate::vector::Embeddings;

    #[test]
    fn distances_are_negative_and_the_dot_product_depends_on_length() {
        let (a, b) = (ndarray::array![1.0, 2.0], ndarray::array![4.0, -2.0]);
        let score = |function: SimilarityFunction| function.score(a.view(), b.view());
        assert_eq!(score(SimilarityFunction::Dot), 0.0);
        assert_eq!(score(SimilarityFunction::Euclidean), -5.0);
        assert_eq!(score(SimilarityFunction::Manhattan), -7.0);
    }

    #[test]
    fn equal_scores_keep_their_order() {
        assert_eq!(rank(&[0.5, 0.7, 0.5, 0.7], usize::MAX), [1, 3, 0, 2]);
    }

    #[test]
    fn top_k_beyond_the_length_returns_all() {
        assert_eq!(rank(&[0.2, 0.3], 10), [1, 0]);
    }

    proptest! {
        #[test]
        fn cosine_is_symmetric_and_within_one(
            values in proptest::collection::vec(-100.0f32..100.0, 2 * 16)
        ) {
            let rows = Array2::from_shape_vec((2, 16), values)?;
            prop_assume!(rows.outer_iter().all(|row| row.dot(&row) > 1e-6));
            let rows = Embeddings::from_pooled(rows)?;
            let score = cosine(rows.row(0), rows.row(1));
            prop_assert!((-1.0..=1.0).contains(&score));
            prop_assert_eq!(score, cosine(rows.row(1), rows.row(0)));
            prop_assert!((cosine(rows.row(0), rows.row(0)) - 1.0).abs() <= 1e-6);
        }

        #[test]
        fn rank_is_a_stable_descending_permutation(
            scores in proptest::collection::vec(prop_oneof![Just(0.5f32), -1.0f32..1.0], 0..50)
        ) {
            let order = rank(&scores, usize::MAX);
            let mut seen = order.clone();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..scores.len()).collect::<Vec<_>>());
            for pair in order.windows(2) {
                let (first, second) = (scores[pair[0]], scores[pair[1]]);
                prop_assert!(first > second || (first == second && pair[0] < pair[1]));
            }
        }
    }
}
