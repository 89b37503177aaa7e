//! Pooling: token embeddings to one vector per text.

use std::fmt;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView3, Axis, Zip, s};
use serde::{Deserialize, Serialize};

/// How token embeddings are pooled into one vector. The modes are those of `1_Pooling/config.json` of
/// sentence-transformers.
///
/// Source of the formulas: `sentence_transformers/models/Pooling.py`. `t` are the token embeddings of a
/// text without padding, and `n` is their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// `sum(t) / n`: `pooling_mode_mean_tokens`.
    Mean,
    /// `t[0]`, the `[CLS]` token: `pooling_mode_cls_token`.
    Cls,
    /// The maximum of each dimension: `pooling_mode_max_tokens`.
    Max,
    /// `sum(t) / sqrt(n)`: `pooling_mode_mean_sqrt_len_tokens`.
    MeanSqrtLen,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
            Self::MeanSqrtLen => "mean_sqrt_len",
        })
    }
}

/// Returns one pooled vector per text, `[batch, hidden]`, f32, not normalized.
///
/// `tokens` is `[batch, tokens, hidden]`, f32. `lengths`, `[batch]`, is the number of tokens of each
/// text; the tokens after them are padding and are ignored. A length of 0 pools to a zero vector.
///
/// # Panics
/// If `lengths` does not have one entry per row, or an entry exceeds the tokens axis.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use semblance::internals::vector::{Pooling, pool};
///
/// // A text of two tokens, padded to three.
/// let tokens = array![[[1.0, 2.0], [3.0, 6.0], [99.0, 99.0]]];
/// assert_eq!(pool(tokens.view(), &[2], Pooling::Mean), array![[2.0, 4.0]]);
/// assert_eq!(pool(tokens.view(), &[2], Pooling::Cls), array![[1.0, 2.0]]);
/// assert_eq!(pool(tokens.view(), &[2], Pooling::Max), array![[3.0, 6.0]]);
/// ```
#[must_use]
pub fn pool(tokens: ArrayView3<'_, f32>, lengths: &[usize], pooling: Pooling) -> Array2<f32> {
    assert_eq!(tokens.len_of(Axis(0)), lengths.len(), "`lengths` must have one entry per row");
    let mut pooled = Array2::zeros((lengths.len(), tokens.len_of(Axis(2))));
    for ((text, &length), mut row) in tokens.outer_iter().zip(lengths).zip(pooled.outer_iter_mut())
    {
        if length > 0 {
            row.assign(&pool_text(text.slice(s![..length, ..]), pooling));
        }
    }
    pooled
}

/// Pools the token embeddings of one text, `[tokens, hidden]`, to `[hidden]`. `tokens` must not be 0.
fn pool_text(tokens: ArrayView2<'_, f32>, pooling: Pooling) -> ndarray::Array1<f32> {
    match pooling {
        Pooling::Cls => tokens.row(0).to_owned(),
        Pooling::Max => fold(tokens, f32::max),
        Pooling::Mean => fold(tokens, |a, b| a + b) / tokens.nrows() as f32,
        Pooling::MeanSqrtLen => fold(tokens, |a, b| a + b) / (tokens.nrows() as f32).sqrt(),
    }
}

/// Folds the rows into one row, elementwise.
fn fold(tokens: ArrayView2<'_, f32>, with: impl Fn(f32, f32) -> f32) -> ndarray::Array1<f32> {
    let mut folded = tokens.row(0).to_owned();
    let others: Vec<ArrayView1<'_, f32>> = tokens.outer_iter().skip(1).collect();
    for token in others {
        Zip::from(&mut folded).and(token).for_each(|a, &b| *a = with(*a, b));
    }
    folded
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mean_ignores_padding() {
        let tokens = array![[[1.0, 0.0], [3.0, 2.0], [500.0, -500.0]]];
        assert_eq!(pool(tokens.view(), &[2], Pooling::Mean), array![[2.0, 1.0]]);
    }

    #[test]
    fn max_ignores_padding_when_all_values_are_negative() {
        let tokens = array![[[-3.0, -1.0], [-2.0, -5.0], [0.0, 0.0]]];
        assert_eq!(pool(tokens.view(), &[2], Pooling::Max), array![[-2.0, -1.0]]);
    }

    #[test]
    fn cls_takes_the_first_token() {
        let tokens = array![[[7.0, 8.0], [1.0, 1.0]], [[5.0, 6.0], [2.0, 2.0]]];
        assert_eq!(pool(tokens.view(), &[2, 1], Pooling::Cls), array![[7.0, 8.0], [5.0, 6.0]]);
    }

    #[test]
    fn mean_sqrt_len_divides_by_the_root_of_the_length() {
        let tokens = array![[[1.0], [1.0], [1.0], [1.0]]];
        assert_eq!(pool(tokens.view(), &[4], Pooling::MeanSqrtLen), array![[2.0]]);
    }

    #[test]
    fn a_text_without_tokens_pools_to_zero() {
        let tokens = array![[[4.0, 4.0]]];
        assert_eq!(pool(tokens.view(), &[0], Pooling::Mean), array![[0.0, 0.0]]);
    }

    fn pooling() -> impl Strategy<Value = Pooling> {
        prop_oneof![
            Just(Pooling::Mean),
            Just(Pooling::Cls),
            Just(Pooling::Max),
            Just(Pooling::MeanSqrtLen)
        ]
    }

    proptest! {
        #[test]
        fn padding_values_do_not_change_a_row(
            values in proptest::collection::vec(-10.0f32..10.0, 2 * 5 * 3),
            junk in -1e6f32..1e6,
            lengths in proptest::collection::vec(1usize..=5, 2),
            pooling in pooling(),
        ) {
            let clean = Array3::from_shape_vec((2, 5, 3), values)?;
            let mut dirty = clean.clone();
            for (mut text, &length) in dirty.outer_iter_mut().zip(&lengths) {
                text.slice_mut(s![length.., ..]).fill(junk);
            }
            prop_assert_eq!(
                pool(clean.view(), &lengths, pooling),
                pool(dirty.view(), &lengths, pooling)
            );
        }
    }
}
