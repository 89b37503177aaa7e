//! Lists of documents: texts, or objects that contain them.

use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::text::{array, at_least_one, check_count, text};
use super::{FieldValue, Names, Text};
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::{Reading, wrong_type};
use crate::openapi::Schemas;
use crate::request::{Field, OneText, RequestError, Texts};

/// A required list of at least one document to rank. The text of an object is in its field `text`, or
/// in the fields that the option `rank_fields` names.
pub(crate) struct Documents {
    pub(crate) texts: Texts,
    /// For each document that is an object: the object, unchanged.
    pub(crate) objects: Vec<Option<Map<String, Value>>>,
}

/// A required text, or list of at least one text, within the limit of client libraries. A text can be
/// an object with the field `text`.
pub(crate) struct ClientInput(pub(crate) Texts);

/// Returns the text of a document.
fn document(
    item: &Value,
    field: Field,
    rank_fields: Option<&[String]>,
    limits: &Limits,
    reading: Reading,
) -> Result<OneText, RequestError> {
    let Value::Object(document) = item else {
        return match item {
            Value::String(value) => text(value.as_str().into(), field, limits, reading),
            other => Err(wrong_type(field, "a string or an object with a text", other)),
        };
    };
    let Some(names) = rank_fields else {
        let field = field.part(".text");
        let value = document.get("text").ok_or(RequestError::MissingField { field })?;
        return text(value.clone(), field, limits, reading);
    };
    let mut parts = Vec::new();
    for value in names.iter().filter_map(|name| document.get(name)) {
        match value {
            Value::String(value) => parts.push(value.clone()),
            Value::Number(_) | Value::Bool(_) => parts.push(value.to_string()),
            Value::Null => {}
            other => {
                return Err(wrong_type(field, "an object whose ranked fields are strings", other));
            }
        }
    }
    if parts.is_empty() {
        return Err(RequestError::MissingField { field: field.part(".<rank_fields>") });
    }
    text(parts.join("\n").into(), field, limits, reading)
}

impl FieldValue for Documents {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let (field, reading) = (fields.field(name), fields.reading());
        let Names(rank_fields) = Names::take(fields, "rank_fields", limits)?;
        let rank_fields = rank_fields.filter(|names| !names.is_empty());
        let items = match fields.required(name)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, "an array of strings or of objects", &other)),
        };
        check_count(items.len(), field, limits.client_texts)?;
        let texts = items.iter().enumerate().map(|(index, item)| {
            document(item, field.at(index), rank_fields.as_deref(), limits, reading)
        });
        let texts = at_least_one(Texts::list(field, texts, reading.keeps_good)?, field)?;
        let objects = items.into_iter().map(|item| match item {
            Value::Object(object) => Some(object),
            _ => None,
        });
        Ok(Self { texts, objects: objects.collect() })
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("Documents", |schemas| {
            let object =
                ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).description(Some(
                    "An object with the field `text`, or with the fields that `rank_fields` names.",
                ));
            let maximum = schemas.limits().client_texts;
            let item = text_or(schemas, object, "A text, or an object that contains it.");
            array(item, 1, maximum, "A list of at least one text to rank.")
        })
    }
}

impl FieldValue for ClientInput {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let (field, reading) = (fields.field(name), fields.reading());
        let items = match fields.required(name)? {
            Value::Array(items) => items,
            one @ (Value::String(_) | Value::Object(_)) => {
                return Ok(Self(Texts::one(field, document(&one, field, None, limits, reading)?)));
            }
            other => return Err(wrong_type(field, "a string or an array of strings", &other)),
        };
        check_count(items.len(), field, limits.client_texts)?;
        let texts = items
            .iter()
            .enumerate()
            .map(|(index, item)| document(item, field.at(index), None, limits, reading));
        at_least_one(Texts::list(field, texts, reading.keeps_good)?, field).map(Self)
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("ClientInput", |schemas| {
            let object = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Object))
                .property("text", Text::schema(schemas))
                .required("text");
            let maximum = schemas.limits().client_texts;
            let item = text_or(schemas, object, "A text, or an object with the field `text`.");
            let any = AnyOfBuilder::new()
                .item(item.clone())
                .item(array(item, 1, maximum, "A list of at least one text."))
                .description(Some("A text, or a list of at least one text."));
            Schema::AnyOf(any.build()).into()
        })
    }
}

/// Returns the schema of a text or an object.
fn text_or(schemas: &mut Schemas, object: ObjectBuilder, about: &str) -> RefOr<Schema> {
    let any = AnyOfBuilder::new()
        .item(Text::schema(schemas))
        .item(RefOr::T(Schema::Object(object.build())))
        .description(Some(about));
    Schema::AnyOf(any.build()).into()
}
