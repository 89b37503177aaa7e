//! The result of tokenization.

use std::ops::Range;

use tokenizers::TruncationDirection;

/// A side of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end.
    Right,
    /// The start.
    Left,
}

impl From<Side> for TruncationDirection {
    fn from(side: Side) -> Self {
        match side {
            Side::Right => Self::Right,
            Side::Left => Self::Left,
        }
    }
}

/// How far the tokens of a text are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// All tokens.
    All,
    /// At least until they exceed the limit of the model. This bounds the work for long texts.
    #[default]
    UpToLimit,
}

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The side of the text from which tokens are removed.
    pub side: Side,
    /// How far its tokens are counted.
    pub count: Count,
    /// Maximum number of tokens of the text or pair, special tokens excluded, if it is less than that of
    /// the model.
    pub text_tokens: Option<usize>,
}

impl Reading {
    /// Truncation on the right to the limit of the model.
    pub const DEFAULT: Self =
        Self { side: Side::Right, count: Count::UpToLimit, text_tokens: None };
}

/// The token ids of one text or pair of texts, truncated to the model's limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, `[tokens]`, special tokens included, truncated to the limit.
    pub input_ids: Vec<i32>,
    /// Segment of each token, `[tokens]`: 1 for the second text of a pair and its `[SEP]`, otherwise 0.
    pub token_type_ids: Vec<i32>,
    /// Number of tokens before truncation, special tokens included. At least this number if they were
    /// not all counted.
    pub total_tokens: usize,
    /// Whether all tokens were counted.
    pub is_counted: bool,
    /// The index of the first text that has no tokens besides special ones: 0, or 1 for the second of a pair.
    pub empty_text: Option<usize>,
}

/// One token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id in the vocabulary.
    pub id: u32,
    /// The characters of the text that the token covers, or the name of a special token.
    pub text: String,
    /// The position of these characters, counted in characters; `None` for a special token.
    pub characters: Option<Range<usize>>,
}

impl Encoding {
    /// Number of tokens after truncation, special tokens included.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }

    /// Whether the text was truncated.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.total_tokens > self.input_ids.len()
    }
}
