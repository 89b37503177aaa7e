//! Errors of a request, with stable codes. Their messages never contain a text of the user.

use std::borrow::Cow;
use std::fmt;

use semblance::{Code, Fault};
use serde_json::Value;

use super::{Field, TextFault};

/// A type of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of JSON")]
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

impl Kind {
    /// Returns a value of this type.
    pub(crate) fn example(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean => false.into(),
            Self::Number => 0.into(),
            Self::String => "".into(),
            Self::Array => Value::Array(Vec::new()),
            Self::Object => Value::Object(serde_json::Map::new()),
        }
    }
}

impl From<&Value> for Kind {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

/// Why a request is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request is not JSON.
    #[error("invalid JSON: {reason} at line {line} column {column}")]
    InvalidJson {
        /// The error of the parser.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// An object has two fields of the same name.
    #[error("a field occurs twice in an object, at line {line} column {column}")]
    DuplicateField {
        /// Line of the second one, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The values need too much memory.
    #[error(
        "the request has too many JSON values; the limit is exceeded at line {line} column {column}"
    )]
    TooManyValues {
        /// Line at which the limit is exceeded, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The request is JSON, but not an object.
    #[error("expected a JSON object, found {found}")]
    NotAnObject {
        /// The type found.
        found: Kind,
    },
    /// A required field is missing.
    #[error("the field {field} is missing")]
    MissingField {
        /// The field.
        field: Field,
    },
    /// A field has the wrong type.
    #[error("the field {field} must be {expected}, found {found}")]
    WrongType {
        /// The field.
        field: Field,
        /// The expected type.
        expected: &'static str,
        /// The type found.
        found: Kind,
    },
    /// A number is outside its range.
    #[error("the field {field} must be an integer {}, found {found}", range(*.minimum, *.maximum))]
    OutOfRange {
        /// The field.
        field: Field,
        /// The smallest value.
        minimum: u64,
        /// The largest value, if there is one.
        maximum: Option<u64>,
        /// The number found.
        found: String,
    },
    /// A value is not among the allowed ones.
    #[error("the field {field} must be {expected}")]
    UnknownValue {
        /// The field.
        field: Field,
        /// The allowed values.
        expected: Cow<'static, str>,
    },
    /// An option of a dialect, or a value of it, is not supported.
    #[error("the option {field} is not supported with this value; it must be {expected}")]
    UnsupportedOption {
        /// The option.
        field: Field,
        /// The supported values.
        expected: &'static str,
    },
    /// An option of another route.
    #[error("the option {field} is not supported by this route; it must be absent")]
    OptionOfAnotherRoute {
        /// The option.
        field: Field,
    },
    /// An option with another spelling.
    #[error("the option {field} has another spelling in the request; it must be spelled like this")]
    Misspelled {
        /// The option, as it must be spelled.
        field: Field,
    },
    /// Two fields of the same meaning have different values.
    #[error("the field {field} contradicts {other}")]
    Contradiction {
        /// The field.
        field: Field,
        /// The other one.
        other: &'static str,
    },
    /// The request asks for sparse embeddings.
    #[error("the model has dense embeddings only; sparse embeddings need SPLADE pooling")]
    NoSparseEmbeddings,
    /// The model has no prompts.
    #[error("the field {field} must be absent: this model has no prompts")]
    NoPrompts {
        /// The field.
        field: Field,
    },
    /// A filter is invalid.
    #[error("the filter is invalid at {path}: {reason}")]
    BadFilter {
        /// Path inside the filter; operators and indices only, columns as numbers.
        path: String,
        /// The rule.
        reason: &'static str,
    },
    /// The fields of a request contradict each other.
    #[error("the request must have {expected}")]
    WrongFields {
        /// The rule.
        expected: &'static str,
    },
    /// The shape of the request is not recognized.
    #[error("unrecognized request: expected {expected}")]
    Unrecognized {
        /// The shapes that the source of the request accepts.
        expected: &'static str,
    },
    /// A list that requires at least one text is empty.
    #[error("the field {field} is empty; at least 1 text is required")]
    NoTexts {
        /// The list.
        field: Field,
    },
    /// A list that must be a pair has another length.
    #[error("the field {field} must be a text or a pair of 2 texts, found {count}")]
    NotAPair {
        /// The list.
        field: Field,
        /// Its length.
        count: usize,
    },
    /// A text is invalid.
    #[error("the text {field} {fault}")]
    Text {
        /// The text.
        field: Field,
        /// The reason.
        fault: TextFault,
    },
    /// There are too many texts.
    #[error("the field {field} has {count} texts; the limit is {limit}")]
    TooManyTexts {
        /// The list.
        field: Field,
        /// Its length.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A corpus has too many rows to compare all of them in a request.
    #[error("the field {field} has {count} rows; the limit of this operation is {limit}")]
    TooManyRows {
        /// The corpus.
        field: Field,
        /// Its number of rows.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// There are too many records or requests in an event.
    #[error("the event has too many records; the limit is {limit}")]
    TooManyRecords {
        /// The limit.
        limit: usize,
    },
    /// A text has more tokens than the model's limit, and truncation is disabled.
    #[error(
        "the text {field} has {tokens} tokens; the limit is {limit_tokens} and truncation is disabled"
    )]
    TooManyTokens {
        /// The text.
        field: Field,
        /// Its number of tokens, special tokens included.
        tokens: usize,
        /// The model's limit.
        limit_tokens: usize,
    },
}

semblance::codes!(RequestError {
    Self::InvalidJson { .. } => Code::new(
        "request.invalid_json",
        Fault::Syntax,
        "The request is not JSON in UTF-8, nests more than 128 levels deep, or contains a number \
         beyond the range of a double.",
    ),
    Self::DuplicateField { .. } => Code::new(
        "request.duplicate_field",
        Fault::Syntax,
        "An object has two fields of the same name. Only objects that the service reads are checked.",
    ),
    Self::TooManyValues { .. } => Code::new(
        "request.too_many_values",
        Fault::TooLarge,
        "The JSON values of a field need more than 32 MiB of memory, or an object has more than 1,024 \
         fields.",
    ),
    Self::NotAnObject { .. } => Code::new(
        "request.not_an_object",
        Fault::Field,
        "The request is JSON, but not an object.",
    ),
    Self::MissingField { .. } => Code::new(
        "request.missing_field",
        Fault::Field,
        "A required field is missing.",
    ),
    Self::WrongType { .. } => Code::new(
        "request.wrong_type",
        Fault::Field,
        "A field has the wrong JSON type.",
    ),
    Self::OutOfRange { .. } => Code::OUT_OF_RANGE,
    Self::UnknownValue { .. } | Self::NoPrompts { .. } => Code::UNKNOWN_VALUE,
    Self::UnsupportedOption { .. }
    | Self::OptionOfAnotherRoute { .. }
    | Self::Misspelled { .. } => Code::new(
        "request.unsupported_option",
        Fault::Field,
        "The service does not support an option of the API, or this value of it, and the option would \
         change the response; or the route does not have the option; or its spelling differs. The message \
         says which.",
    ),
    Self::Unrecognized { .. } => Code::new(
        "request.unknown_event",
        Fault::Field,
        "The shape of the request is not recognized. The message lists the accepted shapes.",
    ),
    Self::NoTexts { .. } => Code::new(
        "request.no_texts",
        Fault::Field,
        "A list that requires at least one text is empty.",
    ),
    Self::BadFilter { .. } => Code::new(
        "request.bad_filter",
        Fault::Field,
        "A filter is invalid. The message has the place and the rule.",
    ),
    Self::NoSparseEmbeddings => Code::new(
        "request.no_sparse_embeddings",
        Fault::NotFound,
        "The route returns sparse embeddings, and models with SPLADE pooling are not supported.",
    ),
    Self::WrongFields { .. } | Self::Contradiction { .. } => Code::new(
        "request.wrong_fields",
        Fault::Field,
        "The fields of a request contradict each other, or one is missing.",
    ),
    Self::NotAPair { .. } => Code::new(
        "request.not_a_pair",
        Fault::Field,
        "A list that must be one text or a pair of texts has another length.",
    ),
    Self::TooManyTexts { .. } => Code::new(
        "request.too_many_texts",
        Fault::TooLarge,
        "A list has more texts than the limit of its route: SEMBLANCE_MAX_TEXTS.",
    ),
    Self::TooManyRows { .. } => Code::new(
        "request.too_many_rows",
        Fault::TooLarge,
        "The corpus has too many rows for an operation that compares all of them. The command line has no \
         limit.",
    ),
    Self::TooManyRecords { .. } => Code::new(
        "request.too_many_records",
        Fault::TooLarge,
        "An event has more records than AWS sends in one event, or a list has more requests.",
    ),
    Self::TooManyTokens { .. } => Code::TOO_MANY_TOKENS,
} else {
    Self::Text { fault, .. } => fault.code(),
});

impl RequestError {
    /// The invalid field, if the error is about a field.
    #[must_use]
    pub fn field(&self) -> Option<Field> {
        match *self {
            Self::InvalidJson { .. }
            | Self::DuplicateField { .. }
            | Self::TooManyValues { .. }
            | Self::NotAnObject { .. }
            | Self::WrongFields { .. }
            | Self::Unrecognized { .. }
            | Self::NoSparseEmbeddings
            | Self::TooManyRecords { .. } => None,
            Self::BadFilter { .. } => Some(Field::new("filter")),
            Self::MissingField { field }
            | Self::WrongType { field, .. }
            | Self::OutOfRange { field, .. }
            | Self::UnknownValue { field, .. }
            | Self::UnsupportedOption { field, .. }
            | Self::OptionOfAnotherRoute { field }
            | Self::Misspelled { field }
            | Self::Contradiction { field, .. }
            | Self::NoPrompts { field }
            | Self::NoTexts { field }
            | Self::NotAPair { field, .. }
            | Self::Text { field, .. }
            | Self::TooManyTexts { field, .. }
            | Self::TooManyRows { field, .. }
            | Self::TooManyTokens { field, .. } => Some(field),
        }
    }
}

/// Describes a range of integers.
fn range(minimum: u64, maximum: Option<u64>) -> String {
    match maximum {
        None => format!("of {minimum} or more"),
        Some(maximum) => format!("from {minimum} to {maximum}"),
    }
}
