//! What a tokenizer makes of a text.

use std::ops::Range;

use tokenizers::TruncationDirection;

/// An end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The token ids of one text or pair of texts, within the model's limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Ids, `[tokens]`, special tokens included, cut to the limit.
    pub input_ids: Vec<i32>,
    /// Segment of each token, `[tokens]`: 0, or 1 for the second text of a pair and what ends it.
    pub token_type_ids: Vec<i32>,
    /// Tokens the whole text has, special tokens included; more than `input_ids` if it was cut.
    pub total_tokens: usize,
}

/// One token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id in the vocabulary.
    pub id: u32,
    /// The characters of the text that it stands for, or its name if it stands for none.
    pub text: String,
    /// Where those characters are, counted in characters; none for a token that was added.
    pub characters: Option<Range<usize>>,
}

impl Encoding {
    /// Tokens within the limit, special tokens included.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }

    /// Whether tokens were cut off.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.total_tokens > self.input_ids.len()
    }
}
