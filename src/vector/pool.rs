//! Pooling: token embeddings to one vector per text.

use std::fmt;
use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, Zip, s};
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
    /// `sum(i * t[i - 1]) / sum(i)` for `i` from 1 to `n`: `pooling_mode_weightedmean_tokens`.
    WeightedMean,
    /// `t[n - 1]`: `pooling_mode_lasttoken`.
    LastToken,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
            Self::MeanSqrtLen => "mean_sqrt_len",
            Self::WeightedMean => "weighted_mean",
            Self::LastToken => "last_token",
        })
    }
}

/// The poolings of a model, one or more. Their results are concatenated in this order. In JSON, it is
/// a name or a list of names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Poolings(Vec<Pooling>);

impl Poolings {
    /// Returns the poolings in this order.
    #[must_use]
    pub fn new(poolings: Vec<Pooling>) -> Self {
        Self(poolings)
    }
}

impl std::ops::Deref for Poolings {
    type Target = [Pooling];

    fn deref(&self) -> &[Pooling] {
        &self.0
    }
}

/// The names, joined by `+`.
impl fmt::Display for Poolings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pooling) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "+" };
            write!(f, "{separator}{pooling}")?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected the name of a pooling or a list of names")]
enum OneOrMore {
    One(Pooling),
    More(Vec<Pooling>),
}

impl From<OneOrMore> for Poolings {
    fn from(poolings: OneOrMore) -> Self {
        match poolings {
            OneOrMore::One(pooling) => Self(vec![pooling]),
            OneOrMore::More(poolings) => Self(poolings),
        }
    }
}

/// Returns one pooled vector per text, `[texts, poolings * hidden]`, f32, not normalized: the results
/// of the poolings, one after the other.
///
/// `tokens` is `[tokens, hidden]`, f32, and each item of `texts` is the rows of one text. A text without
/// tokens is pooled to a zero vector.
///
/// # Panics
/// If a range exceeds the number of tokens.
///
/// # Examples
/// ```
/// use ndarray::array;
/// use semblance::internals::vector::{Pooling, pool};
///
/// // A text of two tokens, and one of one token.
/// let tokens = array![[1.0, 2.0], [3.0, 6.0], [5.0, 4.0]];
/// let pooled = |pooling| pool(tokens.view(), [0..2, 2..3], &[pooling]);
/// assert_eq!(pooled(Pooling::Mean), array![[2.0, 4.0], [5.0, 4.0]]);
/// assert_eq!(pooled(Pooling::Cls), array![[1.0, 2.0], [5.0, 4.0]]);
/// assert_eq!(pooled(Pooling::Max), array![[3.0, 6.0], [5.0, 4.0]]);
/// ```
#[must_use]
pub fn pool(
    tokens: ArrayView2<'_, f32>,
    texts: impl IntoIterator<Item = Range<usize>>,
    poolings: &[Pooling],
) -> Array2<f32> {
    let texts: Vec<Range<usize>> = texts.into_iter().collect();
    let hidden = tokens.ncols();
    let mut pooled = Array2::zeros((texts.len(), poolings.len() * hidden));
    for (text, mut row) in texts.into_iter().zip(pooled.outer_iter_mut()) {
        if text.is_empty() {
            continue;
        }
        let tokens = tokens.slice(s![text, ..]);
        for (index, &pooling) in poolings.iter().enumerate() {
            let part = index * hidden..(index + 1) * hidden;
            row.slice_mut(s![part]).assign(&pool_text(tokens, pooling));
        }
    }
    pooled
}

/// Pools the token embeddings of one text, `[tokens, hidden]`, to `[hidden]`. `tokens` must not be 0.
fn pool_text(tokens: ArrayView2<'_, f32>, pooling: Pooling) -> Array1<f32> {
    let count = tokens.nrows() as f32;
    match pooling {
        Pooling::Cls => tokens.row(0).to_owned(),
        Pooling::LastToken => tokens.row(tokens.nrows() - 1).to_owned(),
        Pooling::Max => fold(tokens, f32::max),
        Pooling::Mean => fold(tokens, |a, b| a + b) / count,
        Pooling::MeanSqrtLen => fold(tokens, |a, b| a + b) / count.sqrt(),
        Pooling::WeightedMean => {
            let mut sum = Array1::zeros(tokens.ncols());
            for (index, token) in tokens.outer_iter().enumerate() {
                sum.scaled_add((index + 1) as f32, &token);
            }
            sum / (count * (count + 1.0) / 2.0)
        }
    }
}

/// Folds the rows into one row, elementwise.
fn fold(tokens: ArrayView2<'_, f32>, with: impl Fn(f32, f32) -> f32) -> Array1<f32> {
    let mut folded = tokens.row(0).to_owned();
    for token in tokens.outer_iter().skip(1) {
        Zip::from(&mut folded).and(token).for_each(|a, &b| *a = with(*a, b));
    }
    folded
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn each_text_is_pooled_over_its_own_tokens() {
        let tokens = array![[1.0, 0.0], [3.0, 2.0], [-3.0, -1.0], [-2.0, -5.0]];
        let pooled = |pooling| pool(tokens.view(), [0..2, 2..4], &[pooling]);
        assert_eq!(pooled(Pooling::Mean), array![[2.0, 1.0], [-2.5, -3.0]]);
        assert_eq!(pooled(Pooling::Max), array![[3.0, 2.0], [-2.0, -1.0]]);
        assert_eq!(pooled(Pooling::Cls), array![[1.0, 0.0], [-3.0, -1.0]]);
        assert_eq!(pooled(Pooling::LastToken), array![[3.0, 2.0], [-2.0, -5.0]]);
    }

    #[test]
    fn a_weighted_mean_weights_a_token_by_its_position() {
        let tokens = array![[9.0], [3.0], [6.0], [-6.0]];
        let pooled = pool(tokens.view(), [0..1, 1..4], &[Pooling::WeightedMean]);
        assert_eq!(pooled, array![[9.0], [(3.0 + 2.0 * 6.0 - 3.0 * 6.0) / 6.0]]);
    }

    #[test]
    fn several_poolings_are_concatenated_in_their_order() {
        let tokens = array![[1.0, 0.0], [3.0, 2.0], [5.0, 7.0]];
        let poolings = [Pooling::LastToken, Pooling::Cls, Pooling::Mean];
        let pooled = pool(tokens.view(), [0..2, 2..3], &poolings);
        let expected = array![[3.0, 2.0, 1.0, 0.0, 2.0, 1.0], [5.0, 7.0, 5.0, 7.0, 5.0, 7.0]];
        assert_eq!(pooled, expected);
        assert_eq!(Poolings::new(poolings.to_vec()).to_string(), "last_token+cls+mean");
    }

    #[test]
    fn mean_sqrt_len_divides_by_the_root_of_the_length() {
        let tokens = array![[1.0], [1.0], [1.0], [1.0]];
        let text = std::iter::once(0..4);
        assert_eq!(pool(tokens.view(), text, &[Pooling::MeanSqrtLen]), array![[2.0]]);
    }

    #[test]
    fn a_text_without_tokens_is_pooled_to_zero() {
        let tokens = array![[4.0, 4.0]];
        assert_eq!(
            pool(tokens.view(), [0..0, 0..1], &[Pooling::Max]),
            array![[0.0, 0.0], [4.0, 4.0]]
        );
    }
}
