//! The fields of a JSON object of a request.

use std::collections::BTreeMap;
use std::ops::Range;

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::json::{kind, parse_fields, parse_part};
use crate::request::{Field, Kind, RequestError};

/// The fields of a JSON object of a request. Each getter removes the field that it reads; remaining
/// fields are ignored, and take no memory if the request is given as bytes.
pub(crate) struct Fields {
    parent: Option<&'static str>,
    fields: BTreeMap<String, Item>,
}

/// The value of a field.
enum Item {
    /// A part of a document, whose syntax is valid.
    Part(Bytes, Range<usize>),
    Value(Value),
}

impl Item {
    fn into_value(self) -> Result<Value, RequestError> {
        match self {
            Self::Part(document, part) => parse_part(&document, part),
            Self::Value(value) => Ok(value),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Part(document, part) => &document[part.clone()] == b"null",
            Self::Value(value) => value.is_null(),
        }
    }
}

impl Fields {
    /// Returns the fields of a request.
    ///
    /// # Errors
    /// - [`RequestError::NotAnObject`] if the request is not an object.
    pub(crate) fn new(request: Value) -> Result<Self, RequestError> {
        match request {
            Value::Object(fields) => Ok(Self::from_object(None, fields)),
            other => Err(RequestError::NotAnObject { found: Kind::from(&other) }),
        }
    }

    /// Returns the fields of the request in a document.
    ///
    /// # Errors
    /// - [`RequestError::InvalidJson`] if the document is not JSON in UTF-8.
    /// - [`RequestError::NotAnObject`] if it is not an object.
    /// - [`RequestError::DuplicateField`] if two fields have the same name.
    /// - [`RequestError::TooManyValues`] if it has too many fields.
    pub(crate) fn from_document(document: Bytes) -> Result<Self, RequestError> {
        let part = 0..document.len();
        Self::from_part(None, &document, part)
    }

    /// Returns the fields of a request without a body: the parameter of its path, if it has one.
    pub(crate) fn from_path(parameter: Option<(&'static str, String)>) -> Self {
        let fields = parameter.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        Self::from_object(None, fields.collect())
    }

    fn from_object(parent: Option<&'static str>, fields: Map<String, Value>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name, Item::Value(value)));
        Self { parent, fields: fields.collect() }
    }

    fn from_part(
        parent: Option<&'static str>,
        document: &Bytes,
        part: Range<usize>,
    ) -> Result<Self, RequestError> {
        let fields = parse_fields(document, part)?.into_iter();
        let fields = fields.map(|(name, part)| (name, Item::Part(document.clone(), part)));
        Ok(Self { parent, fields: fields.collect() })
    }

    /// Returns the fields of the object in a required field.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        let item = self.fields.remove(name).ok_or(RequestError::MissingField { field })?;
        Self::below(name, field, item)
    }

    /// Returns the fields of the object in an optional field. Absent counts as an empty object.
    pub(crate) fn optional_object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        match self.fields.remove(name).filter(|item| !item.is_null()) {
            Some(item) => Self::below(name, field, item),
            None => Ok(Self::from_object(Some(name), Map::new())),
        }
    }

    fn below(name: &'static str, field: Field, item: Item) -> Result<Self, RequestError> {
        let expected = "an object";
        match item {
            Item::Part(document, part) => {
                Self::from_part(Some(name), &document, part).map_err(|error| match error {
                    RequestError::NotAnObject { found } => {
                        RequestError::WrongType { field, expected, found }
                    }
                    other => other,
                })
            }
            Item::Value(Value::Object(fields)) => Ok(Self::from_object(Some(name), fields)),
            Item::Value(other) => Err(wrong_type(field, expected, &other)),
        }
    }

    /// Returns the field of this name, for errors.
    pub(crate) fn field(&self, name: &'static str) -> Field {
        Field { parent: self.parent, ..Field::new(name) }
    }

    /// Whether a field exists and its value passes a test.
    pub(crate) fn has(&self, name: &str, test: impl Fn(&Value) -> bool) -> bool {
        match self.fields.get(name) {
            Some(Item::Value(value)) => test(value),
            Some(Item::Part(document, part)) => {
                match parse_part(document, part.clone()) {
                    Ok(value) => test(&value),
                    // The getter of the field returns the error.
                    Err(_) => test(&kind(&document[part.clone()]).example()),
                }
            }
            None => false,
        }
    }

    /// Removes and returns a required field.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<Value, RequestError> {
        let field = self.field(name);
        self.fields.remove(name).ok_or(RequestError::MissingField { field })?.into_value()
    }

    /// Removes and returns an optional field. Null counts as absent.
    pub(crate) fn optional(&mut self, name: &'static str) -> Result<Option<Value>, RequestError> {
        self.fields.remove(name).filter(|item| !item.is_null()).map(Item::into_value).transpose()
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
        let Some(value) = self.optional(name)? else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| wrong_type(field, expected, &value))
    }
}

pub(crate) fn wrong_type(field: Field, expected: &'static str, found: &Value) -> RequestError {
    RequestError::WrongType { field, expected, found: Kind::from(found) }
}
