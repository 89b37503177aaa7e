//! Numbers.

use serde_json::{Number, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::FieldValue;
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::wrong_type;
use crate::openapi::{Schemas, any_of};
use crate::operation::TokenLimit;
use crate::request::RequestError;

/// An optional count, at least 1. A count beyond the range of `usize` becomes its maximum.
pub(crate) struct Count(pub(crate) Option<usize>);

/// An optional number of dimensions, at least 1. The model checks the maximum.
pub(crate) struct Dimensions(pub(crate) Option<usize>);

/// An optional limit on the tokens of a text, special tokens included, in vLLM's API: at least 1, or -1 for
/// the limit of the model. The model checks it.
pub(crate) struct PromptTokens(pub(crate) Option<TokenLimit>);

/// An optional score.
pub(crate) struct Score(pub(crate) Option<f32>);

impl FieldValue for Score {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let number = fields.optional_as(name, "a number", Value::as_f64)?;
        Ok(Self(number.map(|number| number as f32)))
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::Number, Type::Null]);
        Schema::Object(ObjectBuilder::new().schema_type(types).build()).into()
    }
}

impl FieldValue for Count {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        count(fields, name).map(Self)
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        integer(None)
    }
}

impl FieldValue for Dimensions {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        count(fields, name).map(Self)
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        integer(Some(schemas.dimensions()))
    }
}

impl FieldValue for PromptTokens {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let field = fields.field(name);
        if fields.has(name, |value| *value == -1) {
            fields.optional(name)?;
        }
        let tokens = count(fields, name)?;
        Ok(Self(tokens.map(|tokens| TokenLimit { field, tokens, is_capped: false })))
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let unlimited = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([-1]));
        any_of([integer(None), Schema::Object(unlimited.build()).into()])
    }
}

fn integer(maximum: Option<usize>) -> RefOr<Schema> {
    let types = SchemaType::from_iter([Type::Integer, Type::Null]);
    let integer = ObjectBuilder::new().schema_type(types).minimum(Some(1_usize)).maximum(maximum);
    Schema::Object(integer.build()).into()
}

fn count(fields: &mut Fields, name: &'static str) -> Result<Option<usize>, RequestError> {
    let field = fields.field(name);
    match fields.optional(name)? {
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

/// Returns a non-negative integer in any notation. A number beyond the range of u64 becomes its
/// maximum.
fn whole(number: &Number) -> Option<u64> {
    let from_float =
        |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
    number.as_u64().or_else(|| number.as_f64().and_then(from_float))
}
