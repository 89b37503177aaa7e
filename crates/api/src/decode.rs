//! JSON values to checked fields.

use serde_json::{Map, Number, Value};

use super::{Cut, Field, Kind, Limits, RequestError, Texts};
use crate::text::Side;

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
    let mut fields = Fields::of(object)?;
    let field = fields.field(name);
    text(fields.required(name)?, field, limits)
}

/// The fields of an object of a request, taken one by one. Fields that nobody takes are ignored.
pub(super) struct Fields {
    parent: Option<&'static str>,
    fields: Map<String, Value>,
}

impl Fields {
    /// The fields of the request itself.
    pub(super) fn of(event: Value) -> Result<Self, RequestError> {
        match event {
            Value::Object(fields) => Ok(Self { parent: None, fields }),
            other => Err(RequestError::NotAnObject { found: kind(&other) }),
        }
    }

    /// The fields of the object in a required field.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        Self::below(name, field, self.required(name)?)
    }

    /// The fields of the object in an optional field; absent, it is as good as empty.
    pub(super) fn optional_object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        Self::below(name, field, self.optional(name).unwrap_or_else(|| Map::new().into()))
    }

    fn below(name: &'static str, field: Field, value: Value) -> Result<Self, RequestError> {
        match value {
            Value::Object(fields) => Ok(Self { parent: Some(name), fields }),
            other => Err(wrong_type(field, "an object", &other)),
        }
    }

    /// The field of this name, for errors.
    pub(super) fn field(&self, name: &'static str) -> Field {
        Field { parent: self.parent, ..Field::named(name) }
    }

    /// Whether a field is there and holds such a value.
    pub(super) fn holds(&self, name: &str, is: impl Fn(&Value) -> bool) -> bool {
        self.fields.get(name).is_some_and(is)
    }

    /// A required field, as it is.
    pub(super) fn required(&mut self, name: &'static str) -> Result<Value, RequestError> {
        let field = self.field(name);
        self.fields.remove(name).ok_or(RequestError::MissingField { field })
    }

    /// An optional field; null is as good as absent.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// A required text within its limits.
    pub(super) fn text(
        &mut self,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Texts, RequestError> {
        let field = self.field(name);
        Ok(Texts::one(field, text(self.required(name)?, field, limits)?))
    }

    /// A required list of texts, each within its limits.
    pub(super) fn texts(
        &mut self,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Texts, RequestError> {
        let field = self.field(name);
        match self.required(name)? {
            Value::Array(items) => texts(items, field, limits),
            other => Err(wrong_type(field, "an array of strings", &other)),
        }
    }

    /// A required list of at least one text, each within its limits.
    pub(super) fn some_texts(
        &mut self,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Texts, RequestError> {
        let field = self.field(name);
        at_least_one(self.texts(name, limits)?, field)
    }

    /// A required text or list of at least one text, each within its limits.
    pub(super) fn text_or_texts(
        &mut self,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Texts, RequestError> {
        let field = self.field(name);
        match self.required(name)? {
            Value::String(value) => Ok(Texts::one(field, text(value.into(), field, limits)?)),
            Value::Array(items) => at_least_one(texts(items, field, limits)?, field),
            other => Err(wrong_type(field, "a string or an array of strings", &other)),
        }
    }

    /// An optional count of at least 1; a count beyond the machine's word is as good as its largest.
    pub(super) fn count(&mut self, name: &'static str) -> Result<Option<usize>, RequestError> {
        let field = self.field(name);
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match whole(&number) {
                Some(count) if count >= 1 => Ok(Some(usize::try_from(count).unwrap_or(usize::MAX))),
                _ => {
                    let (minimum, maximum, found) = (1, None, number.to_string());
                    Err(RequestError::OutOfRange { field, minimum, maximum, found })
                }
            },
            Some(other) => Err(wrong_type(field, "an integer", &other)),
        }
    }

    /// An optional boolean.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, RequestError> {
        self.optional_as(name, "a boolean", |value| value.as_bool())
    }

    /// An optional name.
    pub(super) fn name(&mut self, name: &'static str) -> Result<Option<String>, RequestError> {
        self.optional_as(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn optional_as<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, RequestError> {
        let field = self.field(name);
        let Some(value) = self.optional(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| wrong_type(field, expected, &value))
    }

    /// What happens to a text that is too long: `truncate` and `truncation_direction`.
    pub(super) fn cut(&mut self, by_default: Cut) -> Result<Cut, RequestError> {
        let cuts = self.flag("truncate")?;
        let field = self.field("truncation_direction");
        let side = match self.name("truncation_direction")? {
            None => Side::Right,
            Some(name) if name.eq_ignore_ascii_case("right") => Side::Right,
            Some(name) if name.eq_ignore_ascii_case("left") => Side::Left,
            Some(_) => {
                let expected = "\"Right\" or \"Left\"".into();
                return Err(RequestError::UnknownValue { field, expected });
            }
        };
        Ok(match cuts.unwrap_or(by_default != Cut::Refuse) {
            true => Cut::At(side),
            false => Cut::Refuse,
        })
    }
}

/// Returns a number that is whole, however it is written, and not negative; one beyond u64 is as good
/// as its largest.
fn whole(number: &Number) -> Option<u64> {
    let of_fraction =
        |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
    number.as_u64().or_else(|| number.as_f64().and_then(of_fraction))
}

/// Returns the items of a list as texts within the limits.
fn texts(items: Vec<Value>, field: Field, limits: &Limits) -> Result<Texts, RequestError> {
    check_count(items.len(), field, limits)?;
    let item = |(index, value)| text(value, field.at(index), limits);
    Ok(Texts::list(field, items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?))
}

fn at_least_one(texts: Texts, field: Field) -> Result<Texts, RequestError> {
    if texts.is_empty() { Err(RequestError::NoTexts { field }) } else { Ok(texts) }
}

/// Checks that a list has no more texts than the limit.
pub(super) fn check_count(count: usize, field: Field, limits: &Limits) -> Result<(), RequestError> {
    let limit = limits.texts;
    if count > limit {
        return Err(RequestError::TooManyTexts { field, count, limit });
    }
    Ok(())
}

/// Returns a text that is a string, not blank, without NUL and within the limit.
pub(super) fn text(value: Value, field: Field, limits: &Limits) -> Result<String, RequestError> {
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

pub(super) fn wrong_type(field: Field, expected: &'static str, found: &Value) -> RequestError {
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
