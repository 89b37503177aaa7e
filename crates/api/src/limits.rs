//! Limits of one request.

/// Limits of one request. `docs/configuration.md` lists the environment variables that set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most texts of one list.
    pub texts: usize,
    /// Most bytes (UTF-8) of one text.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { texts: 1_000, text_bytes: 64 * 1024 }
    }
}
