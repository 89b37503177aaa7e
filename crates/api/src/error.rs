//! What is wrong with a request: stable codes, and messages that never hold the user's text.

use std::borrow::Cow;
use std::fmt;

/// A field of a request, with the index if it is an item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name on the wire of the object that holds it, if that is not the request itself.
    pub parent: Option<&'static str>,
    /// Name on the wire.
    pub name: &'static str,
    /// Index in the list, from 0.
    pub index: Option<usize>,
    /// Where in the item, as a path; empty for the item itself.
    pub part: &'static str,
}

impl Field {
    /// A field that is not an item of a list.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self { parent: None, name, index: None, part: "" }
    }

    /// The item `index` of a list.
    #[must_use]
    pub fn item(name: &'static str, index: usize) -> Self {
        Self { index: Some(index), ..Self::named(name) }
    }

    /// The item `index` of this list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }

    /// A part of this item, as a path: `.text`, `[1]`.
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
    #[error("the field {field} must be an integer {}, found {found}", range(*.minimum, *.maximum))]
    OutOfRange {
        /// The field.
        field: Field,
        /// The least value.
        minimum: u64,
        /// The largest value, if there is one.
        maximum: Option<u64>,
        /// The number found.
        found: String,
    },
    /// A name is none of those that are known.
    #[error("the field {field} must be {expected}")]
    UnknownValue {
        /// The field.
        field: Field,
        /// What it may be.
        expected: Cow<'static, str>,
    },
    /// The event is of no kind that is answered.
    #[error(
        "the event is of no kind that is answered: {{\"query_from_app\", \"actual_queries\"}}, \
         {{\"operation\"}}, an HTTP event of a function URL, an API Gateway or a load balancer, an \
         EventBridge event, or SQS records"
    )]
    UnknownEvent,
    /// A list that needs a text has none.
    #[error("the field {field} has no text, at least 1 is needed")]
    NoTexts {
        /// The list.
        field: Field,
    },
    /// A list that must be a pair is none.
    #[error("the field {field} must be a pair of 2 texts, found {count}")]
    NotAPair {
        /// The list.
        field: Field,
        /// Its length.
        count: usize,
    },
    /// Pairs can only be scored by a cross-encoder.
    #[error("pairs are scored by a cross-encoder, and none is configured")]
    NoCrossEncoder,
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
    pub const CODES: [&'static str; 16] = [
        "request.invalid_json",
        "request.not_an_object",
        "request.missing_field",
        "request.wrong_type",
        "request.out_of_range",
        "request.unknown_value",
        "request.unknown_event",
        "request.no_texts",
        "request.not_a_pair",
        "request.no_cross_encoder",
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
            Self::UnknownValue { .. } => "request.unknown_value",
            Self::UnknownEvent => "request.unknown_event",
            Self::NoTexts { .. } => "request.no_texts",
            Self::NotAPair { .. } => "request.not_a_pair",
            Self::NoCrossEncoder => "request.no_cross_encoder",
            Self::EmptyText { .. } => "request.empty_text",
            Self::NulCharacter { .. } => "request.nul_character",
            Self::NotUtf8 { .. } => "request.not_utf8",
            Self::TextTooLong { .. } => "request.text_too_long",
            Self::TooManyTexts { .. } => "request.too_many_texts",
            Self::TooManyTokens { .. } => "request.too_many_tokens",
        }
    }

    /// The field that is at fault, if it is one.
    #[must_use]
    pub fn field(&self) -> Option<Field> {
        match *self {
            Self::InvalidJson { .. }
            | Self::NotAnObject { .. }
            | Self::UnknownEvent
            | Self::NoCrossEncoder => None,
            Self::MissingField { field }
            | Self::WrongType { field, .. }
            | Self::OutOfRange { field, .. }
            | Self::UnknownValue { field, .. }
            | Self::NoTexts { field }
            | Self::NotAPair { field, .. }
            | Self::EmptyText { field, .. }
            | Self::NulCharacter { field, .. }
            | Self::NotUtf8 { field, .. }
            | Self::TextTooLong { field, .. }
            | Self::TooManyTexts { field, .. }
            | Self::TooManyTokens { field, .. } => Some(field),
        }
    }
}

/// A range of integers, in words.
fn range(minimum: u64, maximum: Option<u64>) -> String {
    match maximum {
        None => format!("of {minimum} or more"),
        Some(maximum) => format!("from {minimum} to {maximum}"),
    }
}
