//! What one request may ask for.

/// Bounds of one request; the environment variables that set them are in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most candidate texts.
    pub texts: usize,
    /// Most bytes (UTF-8) of one text.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { texts: 1_000, text_bytes: 64 * 1024 }
    }
}
