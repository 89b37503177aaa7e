//! Fields of a search: the name of an index, query vectors, a filter.

use semblance::corpus::Filter;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::FieldValue;
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::wrong_type;
use crate::openapi::Schemas;
use crate::request::{RequestError, filter_from_json};

/// The required name of an index.
pub(crate) struct IndexName(pub(crate) String);

/// An optional list of vectors.
pub(crate) struct Vectors(pub(crate) Option<Vec<Vec<f32>>>);

/// An optional filter on metadata.
pub(crate) struct FilterField(pub(crate) Option<Filter>);

impl FieldValue for IndexName {
    const REQUIRED: bool = true;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let field = fields.field(name);
        match fields.required(name)? {
            Value::String(value) => Ok(Self(value)),
            other => Err(wrong_type(field, "a string", &other)),
        }
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .pattern(Some("^[a-z0-9][a-z0-9._-]{0,63}$"));
        Schema::Object(text.build()).into()
    }
}

impl FieldValue for Vectors {
    const REQUIRED: bool = false;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let rows = match fields.optional(name)? {
            None => return Ok(Self(None)),
            Some(Value::Array(rows)) => rows,
            Some(other) => return Err(wrong_type(field, "an array of vectors", &other)),
        };
        if rows.len() > limits.texts {
            let (count, limit) = (rows.len(), limits.texts);
            return Err(RequestError::TooManyTexts { field, count, limit });
        }
        let vector = |(index, row): (usize, Value)| match row {
            Value::Array(values) => {
                let number = |value: &Value| {
                    let number = value.as_f64().map(|number| number as f32);
                    number.ok_or_else(|| wrong_type(field.at(index), "an array of numbers", value))
                };
                values.iter().map(number).collect()
            }
            other => Err(wrong_type(field.at(index), "an array of numbers", &other)),
        };
        let rows = rows.into_iter().enumerate().map(vector).collect::<Result<_, _>>()?;
        Ok(Self(Some(rows)))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Number));
        let dimensions = schemas.dimensions();
        let vector = ArrayBuilder::new()
            .items(number)
            .min_items(Some(dimensions))
            .max_items(Some(dimensions));
        let list = ArrayBuilder::new().items(vector).min_items(Some(1));
        Schemas::or_null(Schema::Array(list.build()).into())
    }
}

impl FieldValue for FilterField {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        fields.optional(name)?.map(|json| filter_from_json(&json)).transpose().map(Self)
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::Object, Type::Null]);
        Schema::Object(ObjectBuilder::new().schema_type(types).build()).into()
    }
}
