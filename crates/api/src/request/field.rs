//! The location of a value in a request.

use std::fmt;

/// A field of a request, or an item of a list in a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Name of the enclosing object; `None` for the request itself.
    pub parent: Option<&'static str>,
    /// Name of the field.
    pub name: &'static str,
    /// Index in the list, from 0.
    pub index: Option<usize>,
    /// Path inside the item; empty for the item itself.
    pub part: &'static str,
}

impl Field {
    /// Returns the field of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { parent: None, name, index: None, part: "" }
    }

    /// Returns item `index` of this list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }

    /// Returns a part of this item, given as a path such as `.text` or `[1]`.
    #[must_use]
    pub fn part(self, part: &'static str) -> Self {
        Self { part, ..self }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        f.write_str(self.part)
    }
}
