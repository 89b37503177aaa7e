//! Validated texts of a request, with their field.

use super::{Field, RequestError};

/// A text of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OneText {
    /// The text.
    pub(crate) text: String,
    /// Whether a part was removed because of its size. The model would truncate it anyway.
    pub(crate) is_cut: bool,
}

/// Validated texts of a request, with their field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    field: Field,
    texts: Vec<String>,
    is_list: bool,
    keeps_good: bool,
    faults: Vec<(usize, RequestError)>,
    cut: Vec<usize>,
}

impl Texts {
    /// Returns the single text of a field.
    pub(crate) fn one(field: Field, OneText { text, is_cut }: OneText) -> Self {
        let cut = if is_cut { vec![0] } else { Vec::new() };
        let (texts, faults) = (vec![text], Vec::new());
        Self { field, texts, is_list: false, keeps_good: false, faults, cut }
    }

    /// Returns the texts of a field that is a list. If it `keeps_good` texts, an invalid one is
    /// recorded.
    ///
    /// # Errors
    /// - The first fault, unless faults are recorded.
    pub(crate) fn list(
        field: Field,
        items: impl Iterator<Item = Result<OneText, RequestError>>,
        keeps_good: bool,
    ) -> Result<Self, RequestError> {
        let (mut texts, mut faults, mut cut) = (Vec::new(), Vec::new(), Vec::new());
        for (index, item) in items.enumerate() {
            match item {
                Ok(OneText { text, is_cut }) => {
                    if is_cut {
                        cut.push(index);
                    }
                    texts.push(text);
                }
                Err(fault) if keeps_good => {
                    faults.push((index, fault));
                    texts.push(String::new());
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(Self { field, texts, is_list: true, keeps_good, faults, cut })
    }

    /// The texts in input order, including repetitions. A text whose fault was recorded is empty.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.texts
    }

    /// The texts, for changes.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [String] {
        &mut self.texts
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

    /// Whether faults of texts are recorded instead of refusing the request.
    pub(crate) fn keeps_good(&self) -> bool {
        self.keeps_good
    }

    /// The recorded faults, by index.
    pub(crate) fn faults(&self) -> &[(usize, RequestError)] {
        &self.faults
    }

    /// Indices of the texts of which a part was removed because of its size.
    pub(crate) fn cut(&self) -> &[usize] {
        &self.cut
    }
}
