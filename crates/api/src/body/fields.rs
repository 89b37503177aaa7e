//! The fields of a JSON object of a request.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::json::{kind, parse_fields, parse_part, readable_json};
use super::options;
use super::value::Direction;
use crate::request::{Field, Kind, RequestError};

/// The fields of a JSON object of a request. Each getter removes the field that it reads; remaining
/// fields are ignored, and take no memory if the request is given as bytes.
pub(crate) struct Fields {
    parent: Option<&'static str>,
    fields: BTreeMap<String, Item>,
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

/// The value of a field.
#[derive(Clone)]
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

    /// Returns the value; if it needs too much memory, an example of its type. The getter of the
    /// field returns that error.
    fn peek(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Part(document, part) => parse_part(document, part.clone())
                .unwrap_or_else(|_| kind(&document[part.clone()]).example()),
        }
    }

    /// Returns the fields of an object; `None` for a value of another type.
    fn fields(&self) -> Result<Option<BTreeMap<String, Item>>, RequestError> {
        let fields = match self {
            Self::Value(Value::Object(fields)) => {
                let fields = fields.iter();
                fields.map(|(name, value)| (name.clone(), Self::Value(value.clone()))).collect()
            }
            Self::Part(document, part) if kind(&document[part.clone()]) == Kind::Object => {
                parts(document, part.clone())?
            }
            _ => return Ok(None),
        };
        Ok(Some(fields))
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Part(document, part) => &document[part.clone()] == b"null",
            Self::Value(value) => value.is_null(),
        }
    }
}

/// Returns the fields of the object in a part of a document.
fn parts(document: &Bytes, part: Range<usize>) -> Result<BTreeMap<String, Item>, RequestError> {
    let fields = parse_fields(document, part)?.into_iter();
    Ok(fields.map(|(name, part)| (name, Item::Part(document.clone(), part))).collect())
}

impl Fields {
    /// Returns the fields of a request.
    ///
    /// # Errors
    /// - [`RequestError::NotAnObject`] if the request is not an object.
    pub(crate) fn new(request: Value) -> Result<Self, RequestError> {
        match request {
            Value::Object(fields) => Ok(Self::from_object(None, fields, Reading::default())),
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
        let document = match readable_json(&document) {
            Cow::Borrowed(readable) => document.slice_ref(readable),
            Cow::Owned(readable) => readable.into(),
        };
        let fields = parts(&document, 0..document.len())?;
        Ok(Self { parent: None, fields, reading: Reading::default() })
    }

    /// Returns the fields of a request without a body: the parameter of its path, if it has one.
    pub(crate) fn from_path(parameter: Option<(&'static str, String)>) -> Self {
        let fields = parameter.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        Self::from_object(None, fields.collect(), Reading::default())
    }

    fn from_object(
        parent: Option<&'static str>,
        fields: Map<String, Value>,
        reading: Reading,
    ) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name, Item::Value(value)));
        Self { parent, fields: fields.collect(), reading }
    }

    /// Returns the fields of the object in a required field.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        let field = self.field(name);
        let item = self.fields.remove(name).ok_or(RequestError::MissingField { field })?;
        self.below(name, item)
    }

    /// Returns the fields of the object in an optional field. Absent counts as an empty object.
    pub(crate) fn optional_object(&mut self, name: &'static str) -> Result<Self, RequestError> {
        match self.fields.remove(name).filter(|item| !item.is_null()) {
            Some(item) => self.below(name, item),
            None => Ok(Self::from_object(Some(name), Map::new(), self.reading)),
        }
    }

    fn below(&self, name: &'static str, item: Item) -> Result<Self, RequestError> {
        match item.fields()? {
            Some(fields) => Ok(Self { parent: Some(name), fields, reading: self.reading }),
            None => Err(wrong_type(self.field(name), "an object", &item.into_value()?)),
        }
    }

    /// Decides how texts are read, from the options `truncate` (or `truncation`),
    /// `truncation_direction` and `on_error` of the request or of its `parameters`. The options have
    /// not been read yet; an invalid one is refused when it is.
    pub(crate) fn read_texts(&mut self, truncates: bool) {
        // An invalid object is refused when it is read.
        let parameters = self.fields.get("parameters").and_then(|item| item.fields().ok()?);
        let option = |names: &[&str]| {
            let objects = [Some(&self.fields), parameters.as_ref()];
            objects.into_iter().flatten().find_map(|object| {
                names.iter().find_map(|name| object.get(*name)).filter(|item| !item.is_null())
            })
        };
        let is = |value: Option<&Value>, name: &str| {
            value.and_then(Value::as_str).is_some_and(|value| value.eq_ignore_ascii_case(name))
        };
        let truncate = option(&["truncate", "truncation"]).map(Item::peek);
        let truncates = match &truncate {
            Some(Value::Bool(truncates)) => *truncates,
            Some(_) => !is(truncate.as_ref(), "none"),
            None => truncates,
        };
        let direction = option(&["truncation_direction"]).map(Item::peek);
        let is_left = is(direction.as_ref(), "left") || is(truncate.as_ref(), "start");
        let side = if is_left { Direction::Left } else { Direction::Right };
        let on_error = option(&["on_error"]).map(Item::peek);
        self.reading = Reading {
            truncation: truncates.then_some(side),
            keeps_good: is(on_error.as_ref(), "null"),
        };
    }

    /// How texts are read.
    pub(crate) fn reading(&self) -> Reading {
        self.reading
    }

    /// Moves the fields of the object `name`, if there is one, into this object. It can repeat a field
    /// of this object with the same value.
    pub(crate) fn lift(&mut self, name: &'static str) -> Result<(), RequestError> {
        let field = self.field(name);
        for (name, item) in self.optional_object(name)?.fields {
            if let Some(own) = self.fields.remove(&name) {
                let own = own.into_value()?;
                if own != item.into_value()? {
                    let other = "a field of the request";
                    return Err(RequestError::Contradiction { field, other });
                }
                self.fields.insert(name, Item::Value(own));
            } else {
                self.fields.insert(name, item);
            }
        }
        Ok(())
    }

    /// Refuses an option that the body does not declare: one of another route, or a declared one in
    /// another spelling. Other unknown fields are ignored.
    pub(crate) fn refuse_options(&self, declared: &[&str]) -> Result<(), RequestError> {
        for (name, item) in &self.fields {
            if declared.contains(&name.as_str()) {
                continue;
            }
            let Some(option) = options::known(name) else { continue };
            if !options::is_default(option, &item.peek()) {
                let field = self.field(option);
                return Err(match declared.contains(&option) {
                    true => RequestError::Misspelled { field },
                    false => RequestError::OptionOfAnotherRoute { field },
                });
            }
        }
        Ok(())
    }

    /// Moves these fields, if they exist, into the object `name`, which is created if it is absent.
    pub(crate) fn sink(&mut self, name: &'static str, fields: &[&str]) -> Result<(), RequestError> {
        let field = self.field(name);
        let moved: Vec<(String, Item)> =
            fields.iter().filter_map(|field| self.fields.remove_entry(*field)).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let object = match self.fields.remove(name) {
            Some(item) if !item.is_null() => item.into_value()?,
            _ => Map::new().into(),
        };
        let object = match object {
            Value::Object(mut object) => {
                for (name, item) in moved {
                    let value = item.into_value()?;
                    if object.get(&name).is_some_and(|own| *own != value) {
                        let (field, other) = (field, "a field of the request");
                        return Err(RequestError::Contradiction { field, other });
                    }
                    object.insert(name, value);
                }
                Value::Object(object)
            }
            other => other,
        };
        self.fields.insert(name.to_owned(), Item::Value(object));
        Ok(())
    }

    /// Returns the field of this name, for errors.
    pub(crate) fn field(&self, name: &'static str) -> Field {
        Field { parent: self.parent, ..Field::new(name) }
    }

    /// Whether a field exists and its value passes a test.
    pub(crate) fn has(&self, name: &str, test: impl Fn(&Value) -> bool) -> bool {
        self.fields.get(name).is_some_and(|item| test(&item.peek()))
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

    /// Returns a field without removing it.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.fields.get(name).map(Item::peek)
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
