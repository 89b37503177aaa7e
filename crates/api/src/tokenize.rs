//! The tokenize operation: texts in, the tokens that the model would read out.

use serde::Serialize;
use utoipa::ToSchema;

use super::Texts;
use crate::text::Token;

/// A checked request: tokenise each text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizeRequest {
    /// The texts; at least one.
    pub texts: Texts,
    /// Whether the tokens that the model wants around a text are wanted.
    pub add_special_tokens: bool,
    /// The prompt that is put before each text.
    pub prompt_name: Option<String>,
}

/// One token, as text-embeddings-inference gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenOfText {
    /// Its id in the vocabulary.
    pub id: u32,
    /// What it stands for: the characters of the text, or the name of a special token.
    pub text: String,
    /// Whether it stands for nothing in the text.
    pub special: bool,
    /// Index of its first character; null for a special token.
    pub start: Option<usize>,
    /// Index after its last character; null for a special token.
    pub stop: Option<usize>,
}

impl From<Token> for TokenOfText {
    fn from(token: Token) -> Self {
        let Token { id, text, characters } = token;
        let (start, stop) = characters.map(|range| (range.start, range.end)).unzip();
        Self { id, text, special: start.is_none(), start, stop }
    }
}
