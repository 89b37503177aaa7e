//! Options: flags, names and choices. Each is optional; null counts as absent.

use semblance::Truncation;
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::FieldValue;
use crate::Limits;
use crate::body::Fields;
use crate::openapi::Schemas;
use crate::request::RequestError;

/// An optional boolean.
pub(crate) struct Flag(pub(crate) Option<bool>);

/// An optional name of a prompt of the model. The model checks it.
pub(crate) struct PromptName(pub(crate) Option<String>);

/// A field that is accepted and has no effect.
pub(crate) struct Unread;

/// A field that must be absent or null, because it would select another kind of request.
pub(crate) struct Absent;

/// An optional choice.
pub(crate) struct Choice<T>(pub(crate) Option<T>);

/// The values of a choice.
pub(crate) trait Choices: Copy + 'static {
    /// The values with their spellings.
    const VALUES: &'static [(&'static str, Self)];
    /// The values, for an error message.
    const EXPECTED: &'static str;
}

/// The side of a text from which tokens are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Left,
    Right,
}

impl Choices for Direction {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("Left", Self::Left),
        ("Right", Self::Right),
        ("left", Self::Left),
        ("right", Self::Right),
    ];
    const EXPECTED: &'static str = "\"Right\" or \"Left\"";
}

/// Returns how to handle a text beyond the model's limit, from the fields `truncate` and
/// `truncation_direction`.
pub(crate) fn truncation(
    truncate: &Flag,
    direction: &Choice<Direction>,
    by_default: bool,
) -> Truncation {
    match (truncate.0.unwrap_or(by_default), direction.0) {
        (false, _) => Truncation::Refuse,
        (true, Some(Direction::Left)) => Truncation::Left,
        (true, Some(Direction::Right) | None) => Truncation::Right,
    }
}

impl FieldValue for Flag {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        fields.optional_as(name, "a boolean", Value::as_bool).map(Self)
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        optional(Type::Boolean, None)
    }
}

impl FieldValue for PromptName {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        fields.name(name).map(Self)
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        let names = schemas.prompts().iter().map(|name| json!(name)).collect();
        optional(Type::String, Some(names))
    }
}

impl<T: Choices> FieldValue for Choice<T> {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let Some(written) = fields.name(name)? else { return Ok(Self(None)) };
        // The case is ignored; the schema lists the common spellings.
        let chosen = T::VALUES.iter().find(|(value, _)| written.eq_ignore_ascii_case(value));
        match chosen {
            Some(&(_, value)) => Ok(Self(Some(value))),
            None => Err(RequestError::UnknownValue { field, expected: T::EXPECTED.into() }),
        }
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let names = T::VALUES.iter().map(|(value, _)| json!(value)).collect();
        optional(Type::String, Some(names))
    }
}

impl FieldValue for Unread {
    const REQUIRED: bool = false;

    fn take(_: &mut Fields, _: &'static str, _: &Limits) -> Result<Self, RequestError> {
        Ok(Self)
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        Schema::Object(ObjectBuilder::new().schema_type(SchemaType::AnyValue).build()).into()
    }
}

impl FieldValue for Absent {
    const REQUIRED: bool = false;

    fn take(_: &mut Fields, _: &'static str, _: &Limits) -> Result<Self, RequestError> {
        Ok(Self)
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
        Schema::Object(null.build()).into()
    }
}

fn optional(r#type: Type, values: Option<Vec<Value>>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(SchemaType::from_iter([r#type, Type::Null]));
    let with_null = |mut values: Vec<Value>| {
        values.push(Value::Null);
        values
    };
    Schema::Object(object.enum_values(values.map(with_null)).build()).into()
}
