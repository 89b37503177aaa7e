//! Checked texts of a request, and what happens to those that are too long.

use super::Field;
use crate::text::Side;

/// Texts of a request, each within the limits, with the field they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    field: Field,
    texts: Vec<String>,
    is_list: bool,
}

impl Texts {
    /// A text that stands in the field itself.
    pub(super) fn one(field: Field, text: String) -> Self {
        Self { field, texts: vec![text], is_list: false }
    }

    /// The items of the field.
    pub(super) fn list(field: Field, texts: Vec<String>) -> Self {
        Self { field, texts, is_list: true }
    }

    /// The texts, in input order, repetitions kept.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.texts
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The field of text `index`, for errors.
    #[must_use]
    pub fn field_of(&self, index: usize) -> Field {
        if self.is_list { self.field.at(index) } else { self.field }
    }
}

/// What happens to a text with more tokens than the model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The request is refused.
    Refuse,
    /// Tokens are cut off on this side, and the answer says so.
    At(Side),
}

impl Cut {
    /// The side on which a text is cut, if it is.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::At(side) => side,
            Self::Refuse => Side::Right,
        }
    }
}
