//! Validated texts of a request, with their field.

use super::Field;

/// Validated texts of a request, with their field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    field: Field,
    texts: Vec<String>,
    is_list: bool,
}

impl Texts {
    /// Returns the single text of a field.
    pub(crate) fn one(field: Field, text: String) -> Self {
        Self { field, texts: vec![text], is_list: false }
    }

    /// Returns the texts of a field that is a list.
    pub(crate) fn list(field: Field, texts: Vec<String>) -> Self {
        Self { field, texts, is_list: true }
    }

    /// The texts in input order, including repetitions.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.texts
    }

    /// The first text. It is the only text of a field that is not a list.
    #[must_use]
    pub fn first(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// The field of text `index`, for errors.
    #[must_use]
    pub fn field_of(&self, index: usize) -> Field {
        if self.is_list { self.field.at(index) } else { self.field }
    }
}
