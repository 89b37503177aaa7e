//! Limits of one request.

/// Limits of one request. `docs/configuration.md` lists the environment variables that set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of texts in one list.
    pub texts: usize,
    /// Maximum size of one text in bytes (UTF-8).
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { texts: 1_000, text_bytes: 64 * 1024 }
    }
}
