//! Normalized embeddings.

use ndarray::{Array2, ArrayView1, ArrayView2};

/// Embeddings of texts, `[texts, dim]`, f32. Every row has unit length (L2 norm).
///
/// [`Embeddings::from_pooled`] is the only constructor, so the dot product of two rows is always their
/// cosine similarity.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    rows: Array2<f32>,
}

/// A pooled vector that cannot be normalized, so its cosine similarity is undefined.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("embedding {row} has norm {norm}; expected a finite, non-zero norm")]
pub struct DegenerateVector {
    /// Index of the embedding.
    pub row: usize,
    /// Its L2 norm: 0, infinite or NaN.
    pub norm: f32,
}

impl Embeddings {
    /// Returns the rows divided by their L2 norms, `[texts, dim]`.
    ///
    /// `pooled` is `[texts, dim]`, f32, not normalized.
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
            vector /= norm(row, vector.view())?;
        }
        Ok(Self { rows: pooled })
    }

    /// Checks that each row of `pooled`, `[texts, dim]`, f32, has a direction.
    ///
    /// # Errors
    /// - [`DegenerateVector`] if the norm of a row is zero or not finite.
    pub fn check(pooled: &Array2<f32>) -> Result<(), DegenerateVector> {
        for (row, vector) in pooled.outer_iter().enumerate() {
            norm(row, vector)?;
        }
        Ok(())
    }

    /// Returns a view of the rows, `[texts, dim]`, f32, unit length.
    #[must_use]
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.rows.view()
    }

    /// Returns the rows, `[texts, dim]`, f32, unit length.
    #[must_use]
    pub fn into_rows(self) -> Array2<f32> {
        self.rows
    }

    /// Returns the embedding of text `index`, `[dim]`, f32, unit length.
    ///
    /// # Panics
    /// If `index` is not less than [`Embeddings::len`].
    #[must_use]
    pub fn row(&self, index: usize) -> ArrayView1<'_, f32> {
        self.rows.row(index)
    }

    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.nrows()
    }

    /// Whether there are no texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns the L2 norm of a row if it is finite and not zero.
fn norm(row: usize, vector: ArrayView1<'_, f32>) -> Result<f32, DegenerateVector> {
    let norm = vector.dot(&vector).sqrt();
    if norm.is_finite() && norm > 0.0 { Ok(norm) } else { Err(DegenerateVector { row, norm }) }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_zero_vector_is_an_error() {
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
    fn a_norm_that_overflows_is_an_error() {
        let error = Embeddings::from_pooled(array![[f32::MAX, f32::MAX]]).unwrap_err();
        assert_eq!(error, DegenerateVector { row: 0, norm: f32::INFINITY });
    }

    #[test]
    fn an_array_without_rows_is_empty() {
        let embeddings = Embeddings::from_pooled(Array2::zeros((0, 4))).unwrap();
        assert!(embeddings.is_empty());
    }
}
