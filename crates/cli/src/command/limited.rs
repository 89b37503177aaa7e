//! Texts within the size limit.

use semblance_api::{Limits, TextFault, check_text};

use crate::error::{CommandError, Location};

/// Returns the start of a text that is within the limit, and whether the rest was removed. The model
/// reads far fewer tokens than that.
///
/// # Errors
/// - [`TextFault::TooLong`] if the text exceeds the limit and must not be truncated.
pub(super) fn limited<'t>(
    text: &'t str,
    limits: &Limits,
    no_truncate: bool,
) -> Result<(&'t str, bool), TextFault> {
    if no_truncate {
        check_text(text, limits)?;
    }
    let end = text.floor_char_boundary(limits.text_bytes);
    Ok((&text[..end], end < text.len()))
}

/// The texts of a comparison that are arguments, within the size limit.
pub(super) struct ArgumentTexts<'a> {
    pub(super) query: &'a str,
    pub(super) texts: Vec<&'a str>,
    /// Indices of the texts of which a part was removed. Index 0 is the query.
    cut: Vec<usize>,
}

impl<'a> ArgumentTexts<'a> {
    pub(super) fn new(
        query: &'a str,
        texts: &'a [String],
        limits: &Limits,
        no_truncate: bool,
    ) -> Result<Self, CommandError> {
        let (mut all, mut cut) = (Vec::new(), Vec::new());
        let arguments = std::iter::once(query).chain(texts.iter().map(String::as_str));
        for (index, text) in arguments.enumerate() {
            let invalid =
                |fault| CommandError::Text { location: Location::from_index(index), fault };
            let (text, is_cut) = limited(text, limits, no_truncate).map_err(invalid)?;
            all.push(text);
            cut.extend(is_cut.then_some(index));
        }
        let query = all.remove(0);
        Ok(Self { query, texts: all, cut })
    }

    /// Returns the numbers of the texts, from 1, whose pair with the query is truncated, given the
    /// pairs that the model truncated.
    pub(super) fn truncated_pairs(&self, by_model: &[usize]) -> Vec<usize> {
        match self.cut.first() {
            Some(0) => (1..=self.texts.len()).collect(),
            _ => self.truncated(&by_model.iter().map(|pair| pair + 1).collect::<Vec<_>>()),
        }
    }

    /// Returns the indices of the truncated texts, given those that the model truncated.
    pub(super) fn truncated(&self, by_model: &[usize]) -> Vec<usize> {
        let mut all = [&self.cut, by_model].concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}
