//! JSON values to checked fields.

use serde_json::{Map, Value};

use super::{Field, Kind, Limits, RequestError};

/// Returns the event as a JSON value.
///
/// # Errors
/// - [`RequestError::InvalidJson`] if it is not JSON or not UTF-8, nests more than 128 deep, or
///   holds a lone surrogate or a number beyond f64.
pub fn parse_json(event: &[u8]) -> Result<Value, RequestError> {
    serde_json::from_slice(event).map_err(|error| {
        // The parser's words for bad syntax are fixed: they never quote the event.
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
        RequestError::InvalidJson { reason, line: error.line(), column: error.column() }
    })
}

/// Returns the text in the field `name` of an object, within its limits.
///
/// # Errors
/// - [`RequestError::NotAnObject`], [`RequestError::MissingField`], [`RequestError::WrongType`] if
///   the value has another shape.
/// - As [`check_text`], for the text.
pub fn text_of(object: Value, name: &'static str, limits: &Limits) -> Result<String, RequestError> {
    Fields::of(object)?.text(name, limits)
}

/// The fields of a request, taken one by one. Fields that nobody takes are ignored.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn of(event: Value) -> Result<Self, RequestError> {
        match event {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(RequestError::NotAnObject { found: kind(&other) }),
        }
    }

    fn required(&mut self, name: &'static str) -> Result<Value, RequestError> {
        self.0.remove(name).ok_or(RequestError::MissingField { field: Field::named(name) })
    }

    /// An optional field; null is as good as absent.
    fn optional(&mut self, name: &'static str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// A required text within its limits.
    pub(super) fn text(
        &mut self,
        name: &'static str,
        limits: &Limits,
    ) -> Result<String, RequestError> {
        text(self.required(name)?, Field::named(name), limits)
    }

    /// A required list of texts, each within its limits.
    pub(super) fn texts(
        &mut self,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Vec<String>, RequestError> {
        let field = Field::named(name);
        let items = match self.required(name)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, "an array of strings", &other)),
        };
        if items.len() > limits.texts {
            return Err(RequestError::TooManyTexts {
                field,
                count: items.len(),
                limit: limits.texts,
            });
        }
        let item = |(index, value)| text(value, Field::item(name, index), limits);
        items.into_iter().enumerate().map(item).collect()
    }

    /// An optional count of at least 1; a count beyond the machine's word is as good as its largest.
    pub(super) fn count(&mut self, name: &'static str) -> Result<Option<usize>, RequestError> {
        let field = Field::named(name);
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(count) if count >= 1 => Ok(Some(usize::try_from(count).unwrap_or(usize::MAX))),
                _ => Err(RequestError::OutOfRange { field, minimum: 1, found: number.to_string() }),
            },
            Some(other) => Err(wrong_type(field, "an integer", &other)),
        }
    }

    /// An optional boolean.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, RequestError> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(Field::named(name), "a boolean", &other)),
        }
    }
}

/// Returns a text that is a string, not blank, without NUL and within the limit.
fn text(value: Value, field: Field, limits: &Limits) -> Result<String, RequestError> {
    let text = match value {
        Value::String(text) => text,
        other => return Err(wrong_type(field, "a string", &other)),
    };
    check_text(&text, field, limits)?;
    Ok(text)
}

/// Checks that a text is not blank, has no NUL and is within the limit.
///
/// # Errors
/// - [`RequestError::TextTooLong`] if it has more bytes than the limit.
/// - [`RequestError::NulCharacter`] if it holds U+0000.
/// - [`RequestError::EmptyText`] if it is empty or only white space.
pub fn check_text(text: &str, field: Field, limits: &Limits) -> Result<(), RequestError> {
    let bytes = text.len();
    if bytes > limits.text_bytes {
        let limit_bytes = limits.text_bytes;
        return Err(RequestError::TextTooLong { field, bytes, limit_bytes });
    }
    if let Some(offset_bytes) = text.find('\0') {
        return Err(RequestError::NulCharacter { field, offset_bytes });
    }
    if text.trim().is_empty() {
        return Err(RequestError::EmptyText { field, bytes });
    }
    Ok(())
}

fn wrong_type(field: Field, expected: &'static str, found: &Value) -> RequestError {
    RequestError::WrongType { field, expected, found: kind(found) }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Boolean,
        Value::Number(_) => Kind::Number,
        Value::String(_) => Kind::String,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
    }
}
