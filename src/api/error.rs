//! What is wrong with a request: stable codes, and messages that never hold the user's text.

use std::fmt;

/// A field of a request, with the index if it is an item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name on the wire.
    pub name: &'static str,
    /// Index in the list, from 0.
    pub index: Option<usize>,
}

impl Field {
    /// A field that is not an item of a list.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self { name, index: None }
    }

    /// The item `index` of a list.
    #[must_use]
    pub fn item(name: &'static str, index: usize) -> Self {
        Self { name, index: Some(index) }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// A type of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are JSON's own")]
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// Why a request is refused. Each variant has one stable [code](RequestError::code).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The event is not JSON.
    #[error("the event is not valid JSON: {reason} at line {line} column {column}")]
    InvalidJson {
        /// What the parser says.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The event is JSON, but not an object.
    #[error("the event must be a JSON object, found {found}")]
    NotAnObject {
        /// What it is.
        found: Kind,
    },
    /// A required field is not there.
    #[error("the field {field} is missing")]
    MissingField {
        /// The field.
        field: Field,
    },
    /// A field has another type.
    #[error("the field {field} must be {expected}, found {found}")]
    WrongType {
        /// The field.
        field: Field,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: Kind,
    },
    /// A number is out of its range.
    #[error("the field {field} must be an integer of {minimum} or more, found {found}")]
    OutOfRange {
        /// The field.
        field: Field,
        /// The least value.
        minimum: u64,
        /// The number found.
        found: String,
    },
    /// A text is empty or only white space.
    #[error("the text {field} is empty or only white space ({bytes} bytes)")]
    EmptyText {
        /// The text.
        field: Field,
        /// Its length.
        bytes: usize,
    },
    /// A text holds U+0000.
    #[error("the text {field} has a NUL character at byte {offset_bytes}")]
    NulCharacter {
        /// The text.
        field: Field,
        /// Where the first one is.
        offset_bytes: usize,
    },
    /// A text is not UTF-8; can only come from a file.
    #[error("the text {field} is not UTF-8 from byte {offset_bytes} on")]
    NotUtf8 {
        /// The text.
        field: Field,
        /// Where the first bad byte is.
        offset_bytes: usize,
    },
    /// A text has too many bytes.
    #[error("the text {field} has {bytes} bytes, the limit is {limit_bytes}")]
    TextTooLong {
        /// The text.
        field: Field,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// There are too many texts.
    #[error("the field {field} has {count} texts, the limit is {limit}")]
    TooManyTexts {
        /// The list.
        field: Field,
        /// Its length.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A text has more tokens than the model reads, and `truncate` is false.
    #[error(
        "the text {field} has {tokens} tokens, the limit is {limit_tokens} and truncate is false"
    )]
    TooManyTokens {
        /// The text.
        field: Field,
        /// Its tokens, special tokens counted.
        tokens: usize,
        /// The model's limit.
        limit_tokens: usize,
    },
}

impl RequestError {
    /// Every code that [`RequestError::code`] can return.
    pub const CODES: [&'static str; 11] = [
        "request.invalid_json",
        "request.not_an_object",
        "request.missing_field",
        "request.wrong_type",
        "request.out_of_range",
        "request.empty_text",
        "request.nul_character",
        "request.not_utf8",
        "request.text_too_long",
        "request.too_many_texts",
        "request.too_many_tokens",
    ];

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidJson { .. } => "request.invalid_json",
            Self::NotAnObject { .. } => "request.not_an_object",
            Self::MissingField { .. } => "request.missing_field",
            Self::WrongType { .. } => "request.wrong_type",
            Self::OutOfRange { .. } => "request.out_of_range",
            Self::EmptyText { .. } => "request.empty_text",
            Self::NulCharacter { .. } => "request.nul_character",
            Self::NotUtf8 { .. } => "request.not_utf8",
            Self::TextTooLong { .. } => "request.text_too_long",
            Self::TooManyTexts { .. } => "request.too_many_texts",
            Self::TooManyTokens { .. } => "request.too_many_tokens",
        }
    }
}
