//! The fields of a JSON object of a request.

use serde_json::{Map, Value};

use super::value::Direction;
use crate::request::{Field, Kind, RequestError};

/// The fields of a JSON object of a request. Each getter removes the field that it reads; remaining
/// fields are ignored.
pub(crate) struct Fields {
    parent: Option<&'static str>,
    fields: Map<String, Value>,
    reading: Reading,
}

/// How the texts of a request are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How to handle a text beyond the size limit. A text that would be truncated anyway is not
    /// refused for its size.
    pub(crate) truncation: Option<Direction>,
    /// Whether an invalid text of a list is recorded instead of refusing the request.
    pub(crate) keeps_good: bool,
}

impl Fields {
    /// Returns the fields of a request.
    ///
    /// # Errors
    /// - [`RequestError::NotAnObject`] if the request is not an object.
    pub(crate) fn new(request: Value) -> Result<Self, RequestError> {
        match request {
            Value::Object(fields) => Ok(Self { parent: None, fields, reading: Reading::default() }),
            other => Err(RequestError::NotAnObject { found: Kind::from(&other) }),
        }
    }

    /// Returns the fields of a request without a body: the parameter of its path, if it has one.
    pub(crate) fn from_path(parameter: Option<(&'static str, String)>) -> Self {
        let fields = parameter.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        Self { parent: None, fields: fields.collect(), reading: Reading::default() }
    }

    /// Returns the fields of the object in a required field.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let (field, reading) = (self.field(name), self.reading);
        Self::below(name, field, self.required(name)?, reading)
    }

    /// Returns the fields of the object in an optional field. Absent counts as an empty object.
    pub(crate) fn optional_object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let (field, reading) = (self.field(name), self.reading);
        let value = self.optional(name).unwrap_or_else(|| Map::new().into());
        Self::below(name, field, value, reading)
    }

    fn below(
        name: &'static str,
        field: Field,
        value: Value,
        reading: Reading,
    ) -> Result<Self, RequestError> {
        match value {
            Value::Object(fields) => Ok(Self { parent: Some(name), fields, reading }),
            other => Err(wrong_type(field, "an object", &other)),
        }
    }

    /// Decides how texts are read, from the options `truncate` (or `truncation`),
    /// `truncation_direction` and `on_error` of the request or of its `parameters`. The options have
    /// not been read yet; an invalid one is refused when it is.
    pub(crate) fn read_texts(&mut self, truncates: bool) {
        let option = |names: &[&str]| {
            let parameters = self.fields.get("parameters").and_then(Value::as_object);
            let objects = [Some(&self.fields), parameters];
            objects.into_iter().flatten().find_map(|object| {
                names.iter().find_map(|name| object.get(*name)).filter(|value| !value.is_null())
            })
        };
        let is = |value: Option<&Value>, name: &str| {
            value.and_then(Value::as_str).is_some_and(|value| value.eq_ignore_ascii_case(name))
        };
        let truncate = option(&["truncate", "truncation"]);
        let truncates = match truncate {
            Some(Value::Bool(truncates)) => *truncates,
            Some(_) => !is(truncate, "none"),
            None => truncates,
        };
        let is_left = is(option(&["truncation_direction"]), "left") || is(truncate, "start");
        let side = if is_left { Direction::Left } else { Direction::Right };
        self.reading = Reading {
            truncation: truncates.then_some(side),
            keeps_good: is(option(&["on_error"]), "null"),
        };
    }

    /// How texts are read.
    pub(crate) fn reading(&self) -> Reading {
        self.reading
    }

    /// Moves the fields of the object `name`, if there is one, into this object. A field that this
    /// object has already stays.
    pub(crate) fn lift(&mut self, name: &str) {
        if let Some(Value::Object(inner)) = self.fields.get(name).cloned() {
            self.fields.remove(name);
            for (name, value) in inner {
                self.fields.entry(name).or_insert(value);
            }
        }
    }

    /// Moves these fields, if they exist, into the object `name`, which is created if it is absent.
    pub(crate) fn sink(&mut self, name: &str, fields: &[&str]) {
        let moved: Vec<(String, Value)> =
            fields.iter().filter_map(|field| self.fields.remove_entry(*field)).collect();
        if moved.is_empty() {
            return;
        }
        let object = self.fields.entry(name).or_insert(Value::Null);
        if object.is_null() {
            *object = Map::new().into();
        }
        if let Value::Object(object) = object {
            for (name, value) in moved {
                object.entry(name).or_insert(value);
            }
        }
    }

    /// Returns the field of this name, for errors.
    pub(crate) fn field(&self, name: &'static str) -> Field {
        Field { parent: self.parent, ..Field::new(name) }
    }

    /// Whether a field exists and its value passes a test.
    pub(crate) fn has(&self, name: &str, test: impl Fn(&Value) -> bool) -> bool {
        self.fields.get(name).is_some_and(test)
    }

    /// Removes and returns a required field.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<Value, RequestError> {
        let field = self.field(name);
        self.fields.remove(name).ok_or(RequestError::MissingField { field })
    }

    /// Removes and returns an optional field. Null counts as absent.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Returns a field without removing it.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Removes and returns an optional string.
    pub(crate) fn name(&mut self, name: &'static str) -> Result<Option<String>, RequestError> {
        self.optional_as(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn optional_as<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, RequestError> {
        let field = self.field(name);
        let Some(value) = self.optional(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| wrong_type(field, expected, &value))
    }
}

pub(crate) fn wrong_type(field: Field, expected: &'static str, found: &Value) -> RequestError {
    RequestError::WrongType { field, expected, found: Kind::from(found) }
}
