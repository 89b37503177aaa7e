//! Limits of one request.

/// Limits and defaults of one request. `docs/configuration.md` lists the environment variables that
/// set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of texts in one list of an event, or on a route of text-embeddings-inference.
    pub texts: usize,
    /// Maximum number of texts in one list on the routes of OpenAI, Cohere, Jina, Voyage and Ollama.
    pub client_texts: usize,
    /// Maximum size in bytes (UTF-8) of one text that must not be truncated.
    pub text_bytes: usize,
    /// Whether the routes of text-embeddings-inference truncate by default.
    pub auto_truncate: bool,
    /// Whether `inputs` without an operation is for `/predict`: the service has only a cross-encoder.
    pub predicts: bool,
}

impl Default for Limits {
    fn default() -> Self {
        // OpenAI: "any array must be 2048 dimensions or less". Clients send batches of that size.
        // text-embeddings-inference 1.9 truncates by default.
        Self {
            texts: 1_000,
            client_texts: 2_048,
            text_bytes: 64 * 1024,
            auto_truncate: true,
            predicts: false,
        }
    }
}
