//! The fields of a JSON object of a request.

use serde_json::{Map, Value};

use crate::request::{Field, Kind, RequestError};

/// The fields of a JSON object of a request. Each getter removes the field that it reads; remaining
/// fields are ignored.
pub(crate) struct Fields {
    parent: Option<&'static str>,
    fields: Map<String, Value>,
}

impl Fields {
    /// Returns the fields of a request.
    ///
    /// # Errors
    /// - [`RequestError::NotAnObject`] if the request is not an object.
    pub(crate) fn new(request: Value) -> Result<Self, RequestError> {
        match request {
            Value::Object(fields) => Ok(Self { parent: None, fields }),
            other => Err(RequestError::NotAnObject { found: Kind::from(&other) }),
        }
    }

    /// Returns the fields of a request without a body: the parameter of its path, if it has one.
    pub(crate) fn from_path(parameter: Option<(&'static str, String)>) -> Self {
        let fields = parameter.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        Self { parent: None, fields: fields.collect() }
    }

    /// Returns the fields of the object in a required field.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        Self::below(name, field, self.required(name)?)
    }

    /// Returns the fields of the object in an optional field. Absent counts as an empty object.
    pub(crate) fn optional_object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        Self::below(name, field, self.optional(name).unwrap_or_else(|| Map::new().into()))
    }

    fn below(name: &'static str, field: Field, value: Value) -> Result<Self, RequestError> {
        match value {
            Value::Object(fields) => Ok(Self { parent: Some(name), fields }),
            other => Err(wrong_type(field, "an object", &other)),
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
