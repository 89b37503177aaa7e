//! Reads the dense layers of a bundle.

use std::{fs, io};

use super::{Bundle, BundleError, missing_or_io};
use crate::vector::DenseLayer;

impl Bundle {
    /// Reads the dense layers that follow the pooling, in their order.
    ///
    /// # Errors
    /// - [`BundleError::FileMissing`], [`BundleError::Io`] if the file cannot be read.
    pub fn dense_layers(&self) -> Result<Vec<DenseLayer>, BundleError> {
        let Some(file) = &self.manifest.files.dense else { return Ok(Vec::new()) };
        let failed = |error| missing_or_io(&self.folder, &file.path, error);
        let bytes = fs::read(self.path_of(file)).map_err(failed)?;
        let mut values = bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value));
        let layers = self.manifest.dense.iter().map(|&shape| {
            let values = values.by_ref().take(shape.values()).collect();
            // The manifest has the size of these shapes, so the file has changed since it was opened.
            DenseLayer::new(shape, values).map_err(|error| failed(io::Error::other(error)))
        });
        layers.collect()
    }
}
