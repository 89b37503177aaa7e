//! Validation of a text.

use semblance::{Code, Fault};

use crate::Limits;

/// Why a text is invalid. It does not include the location of the text: an HTTP response names a
/// field, the command line an argument or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextFault {
    /// It has no tokens besides special ones. The tokenizer of the model decides that.
    #[error("is empty: it has no tokens")]
    Empty,
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
    Self::NotUtf8 { .. } => Code::new(
        "request.not_utf8",
        Fault::Field,
        "A line of a file is not UTF-8.",
    ),
    Self::TooLong { .. } => Code::new(
        "request.text_too_long",
        Fault::TooLarge,
        "A text has more bytes than SEMBLANCE_MAX_TEXT_BYTES, and truncation is disabled.",
    ),
    Self::Empty => Code::EMPTY_TEXT,
});

/// Checks that a text is within the size limit. Whether it is empty is decided by its tokens, so the
/// model checks that.
///
/// # Errors
/// - [`TextFault::TooLong`] if it has more bytes than the limit.
pub fn check_text(text: &str, limits: &Limits) -> Result<(), TextFault> {
    let (bytes, limit_bytes) = (text.len(), limits.text_bytes);
    if bytes > limit_bytes { Err(TextFault::TooLong { bytes, limit_bytes }) } else { Ok(()) }
}
