//! Validation of a text.

use semblance::{Code, Fault};

use crate::Limits;

/// Why a text is invalid. It does not include the location of the text: an HTTP response names a
/// field, the command line an argument or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextFault {
    /// It is empty or only white space.
    #[error("is empty or only white space ({bytes} bytes)")]
    Empty {
        /// Its size.
        bytes: usize,
    },
    /// It contains U+0000.
    #[error("contains a NUL character at byte {offset_bytes}")]
    Nul {
        /// Offset of the first U+0000.
        offset_bytes: usize,
    },
    /// It is not UTF-8. This applies only to a text from a file.
    #[error("is not UTF-8 at byte {offset_bytes}")]
    NotUtf8 {
        /// Offset of the first invalid byte.
        offset_bytes: usize,
    },
    /// It has too many bytes.
    #[error("has {bytes} bytes; the limit is {limit_bytes}")]
    TooLong {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
}

semblance::codes!(TextFault {
    Self::Empty { .. } => Code::new(
        "request.empty_text",
        Fault::Field,
        "A text is empty or only white space.",
    ),
    Self::Nul { .. } => Code::new(
        "request.nul_character",
        Fault::Field,
        "A text contains the character U+0000.",
    ),
    Self::NotUtf8 { .. } => Code::new(
        "request.not_utf8",
        Fault::Field,
        "A line of a file is not UTF-8.",
    ),
    Self::TooLong { .. } => Code::new(
        "request.text_too_long",
        Fault::TooLarge,
        "A text has more bytes than SEMBLANCE_MAX_TEXT_BYTES.",
    ),
});

/// Checks that a text is not blank, contains no NUL and is within the limit.
///
/// # Errors
/// - [`TextFault::TooLong`] if it has more bytes than the limit.
/// - [`TextFault::Nul`] if it contains U+0000.
/// - [`TextFault::Empty`] if it is empty or only white space.
pub fn check_text(text: &str, limits: &Limits) -> Result<(), TextFault> {
    let bytes = text.len();
    if bytes > limits.text_bytes {
        return Err(TextFault::TooLong { bytes, limit_bytes: limits.text_bytes });
    }
    if let Some(offset_bytes) = text.find('\0') {
        return Err(TextFault::Nul { offset_bytes });
    }
    if text.trim().is_empty() {
        return Err(TextFault::Empty { bytes });
    }
    Ok(())
}
