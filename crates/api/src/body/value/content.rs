//! Texts in the form of Cohere's inputs, which can also be images.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::text::{array, at_least_one, check_count, text};
use super::{FieldValue, Text};
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::{Reading, wrong_type};
use crate::openapi::Schemas;
use crate::request::{Field, OneText, RequestError, Texts};

/// A required list of at least one text: `[{"content": [{"type": "text", "text": …}]}, …]`.
pub(crate) struct ContentInputs(pub(crate) Texts);

/// Returns the text of an input.
fn input(
    item: &Value,
    field: Field,
    limits: &Limits,
    reading: Reading,
) -> Result<OneText, RequestError> {
    let content = field.part(".content");
    let parts = match item {
        Value::Object(input) => {
            input.get("content").ok_or(RequestError::MissingField { field: content })?
        }
        other => return Err(wrong_type(field, "an object with content", other)),
    };
    let parts =
        parts.as_array().ok_or_else(|| wrong_type(content, "an array of one part", parts))?;
    let [part] = parts.as_slice() else {
        let expected = "one part: parts have no common embedding";
        return Err(RequestError::UnsupportedOption { field: content, expected });
    };
    if part.get("type").and_then(Value::as_str) != Some("text") {
        let (field, expected) =
            (field.part(".content[0].type"), "\"text\": the model embeds texts");
        return Err(RequestError::UnsupportedOption { field, expected });
    }
    let field = field.part(".content[0].text");
    let value = part.get("text").ok_or(RequestError::MissingField { field })?;
    text(value.clone(), field, limits, reading)
}

impl FieldValue for ContentInputs {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let (field, reading) = (fields.field(name), fields.reading());
        let items = match fields.required(name)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, "an array of objects with content", &other)),
        };
        check_count(items.len(), field, limits.client_texts)?;
        let texts = items.iter().enumerate();
        let texts = texts.map(|(index, item)| input(item, field.at(index), limits, reading));
        at_least_one(Texts::list(field, texts, reading.keeps_good)?, field).map(Self)
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("ContentInputs", |schemas| {
            let kind = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .enum_values(Some(["text"]));
            let part = ObjectBuilder::new()
                .property("type", kind)
                .required("type")
                .property("text", Text::schema(schemas))
                .required("text");
            let content = ArrayBuilder::new().items(part).min_items(Some(1)).max_items(Some(1));
            let input = ObjectBuilder::new().property("content", content).required("content");
            let maximum = schemas.limits().client_texts;
            array(input.into(), 1, maximum, "A list of at least one text.")
        })
    }
}
