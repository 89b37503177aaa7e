//! Vectors of unit length.

use super::error::CorpusError;

/// Returns a vector of unit length.
pub(crate) fn unit(vector: &[f32], dim: usize) -> Result<Vec<f32>, CorpusError> {
    if vector.len() != dim {
        return Err(CorpusError::WrongDimensions { found: vector.len(), expected: dim });
    }
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return Err(CorpusError::DegenerateVector { index: 0 });
    }
    // A row that is normalized in f32 keeps its bits.
    if (norm - 1.0).abs() < 1e-6 {
        return Ok(vector.to_vec());
    }
    Ok(vector.iter().map(|&x| (f64::from(x) / norm) as f32).collect())
}
