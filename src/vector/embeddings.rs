//! Rows of unit length.

use ndarray::{Array2, ArrayView1, ArrayView2};

/// Embeddings of texts: `[texts, dim]`, f32, every row of unit length (L2).
///
/// The type is the proof: it can only be made by [`Embeddings::from_pooled`], so whoever holds one
/// may take a dot product for a cosine.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    rows: Array2<f32>,
}

/// A pooled vector that has no direction, so that a score of it would be a lie.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the vector of row {row} has no direction: its length is {norm}")]
pub struct DegenerateVector {
    /// Index of the row.
    pub row: usize,
    /// Its L2 norm: 0, infinite or NaN.
    pub norm: f32,
}

impl Embeddings {
    /// Returns the rows divided by their L2 norms, `[texts, dim]`.
    ///
    /// `pooled` is `[texts, dim]`, f32, of any length.
    ///
    /// # Errors
    /// - [`DegenerateVector`] if the norm of a row is zero or not finite.
    ///
    /// # Examples
    /// ```
    /// use ndarray::array;
    /// use semblance::internals::vector::Embeddings;
    ///
    /// let embeddings = Embeddings::from_pooled(array![[3.0, 4.0]])?;
    /// assert_eq!(embeddings.view(), array![[0.6, 0.8]]);
    /// # Ok::<(), semblance::internals::vector::DegenerateVector>(())
    /// ```
    pub fn from_pooled(mut pooled: Array2<f32>) -> Result<Self, DegenerateVector> {
        for (row, mut vector) in pooled.outer_iter_mut().enumerate() {
            let norm = vector.dot(&vector).sqrt();
            if !(norm.is_finite() && norm > 0.0) {
                return Err(DegenerateVector { row, norm });
            }
            vector /= norm;
        }
        Ok(Self { rows: pooled })
    }

    /// The rows, `[texts, dim]`, f32, unit length.
    #[must_use]
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.rows.view()
    }

    /// The rows themselves, `[texts, dim]`, f32, unit length.
    #[must_use]
    pub fn into_rows(self) -> Array2<f32> {
        self.rows
    }

    /// The embedding of text `index`, `[dim]`, f32, unit length.
    ///
    /// # Panics
    /// If `index` is not below [`Embeddings::len`].
    #[must_use]
    pub fn row(&self, index: usize) -> ArrayView1<'_, f32> {
        self.rows.row(index)
    }

    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.nrows()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_zero_vector_is_an_error_not_a_score() {
        let error = Embeddings::from_pooled(array![[1.0, 0.0], [0.0, 0.0]]).unwrap_err();
        assert_eq!(error, DegenerateVector { row: 1, norm: 0.0 });
    }

    #[test]
    fn a_vector_with_nan_is_an_error() {
        let error = Embeddings::from_pooled(array![[f32::NAN, 1.0]]).unwrap_err();
        assert_eq!(error.row, 0);
        assert!(error.norm.is_nan());
    }

    #[test]
    fn a_vector_whose_length_overflows_is_an_error() {
        let error = Embeddings::from_pooled(array![[f32::MAX, f32::MAX]]).unwrap_err();
        assert_eq!(error, DegenerateVector { row: 0, norm: f32::INFINITY });
    }

    #[test]
    fn no_text_is_no_row() {
        let embeddings = Embeddings::from_pooled(Array2::zeros((0, 4))).unwrap();
        assert!(embeddings.is_empty());
    }
}
