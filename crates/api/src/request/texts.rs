//! Checked texts of a request, with the field they came in.

use super::Field;

/// Texts of a request, each within the limits, with the field they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    field: Field,
    texts: Vec<String>,
    is_list: bool,
}

impl Texts {
    /// Returns the text of a field.
    pub(crate) fn one(field: Field, text: String) -> Self {
        Self { field, texts: vec![text], is_list: false }
    }

    /// Returns the items of a field.
    pub(crate) fn list(field: Field, texts: Vec<String>) -> Self {
        Self { field, texts, is_list: true }
    }

    /// The texts, in input order, repetitions kept.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.texts
    }

    /// The first text. A field that holds one text has exactly this.
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
