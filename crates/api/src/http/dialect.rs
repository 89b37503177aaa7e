//! Whose words an answer is in.

/// The API whose form the errors of a route have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// text-embeddings-inference: `{"error", "error_type"}`.
    #[default]
    Tei,
    /// OpenAI: `{"error": {"message", "type", "code", "param"}}`; also where Cohere's paths are, whose
    /// clients read the status alone.
    OpenAi,
}

impl Dialect {
    /// Returns what is spoken at a path, known or not.
    ///
    /// # Examples
    /// ```
    /// use semblance::http::Dialect;
    ///
    /// assert_eq!(Dialect::of("/v1/no-such-route"), Dialect::OpenAi);
    /// assert_eq!(Dialect::of("/embed"), Dialect::Tei);
    /// ```
    #[must_use]
    pub fn of(path: &str) -> Self {
        let is_open_ai = ["/v1/", "/v2/"].iter().any(|prefix| path.starts_with(prefix));
        if is_open_ai || path == "/embeddings" { Self::OpenAi } else { Self::Tei }
    }
}
