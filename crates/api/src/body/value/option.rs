//! Options: flags and names. Each is optional; null counts as absent.

use semblance::Prompts;
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::{Effect, FieldValue};
use crate::Limits;
use crate::body::Fields;
use crate::openapi::Schemas;
use crate::request::RequestError;

/// An optional boolean.
pub(crate) struct Flag(pub(crate) Option<bool>);

/// An optional name of a prompt of the model. The model checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PromptName {
    /// The field is absent.
    Absent,
    /// The field is null: no prompt.
    Null,
    /// A name.
    Name(String),
}

impl PromptName {
    /// The prompts that it selects.
    pub(crate) fn prompts(self) -> Prompts {
        match self {
            Self::Absent => Prompts::ByRole,
            Self::Null => Prompts::Off,
            Self::Name(name) => Prompts::Named(name),
        }
    }
}

/// An optional list of names.
pub(crate) struct Names(pub(crate) Option<Vec<String>>);

/// A field that is accepted and has no effect.
pub(crate) struct Unread;

/// An option of a dialect that this service does not support. It must be absent, null, false or an empty
/// list.
pub(crate) struct Unsupported;

/// A field that must be absent or null, because it would select another kind of request.
pub(crate) struct Absent;

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
        if fields.has(name, Value::is_null) {
            return Ok(Self::Null);
        }
        Ok(fields.name(name)?.map_or(Self::Absent, Self::Name))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        let names = schemas.prompts().iter().map(|name| json!(name)).collect();
        optional(Type::String, Some(names))
    }
}

impl FieldValue for Names {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let names = |value: &Value| {
            let names = value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<_>>>()
        };
        fields.optional_as(name, "an array of strings", names).map(Self)
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let item = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let list = ArrayBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
            .items(RefOr::T(Schema::Object(item.build())));
        Schema::Array(list.build()).into()
    }
}

impl FieldValue for Unsupported {
    const REQUIRED: bool = false;
    const EFFECT: Effect = Effect::Refused;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let field = fields.field(name);
        match fields.optional(name)? {
            None | Some(Value::Bool(false)) => Ok(Self),
            Some(Value::Array(items)) if items.is_empty() => Ok(Self),
            Some(_) => Err(RequestError::UnsupportedOption { field, expected: "absent" }),
        }
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let object =
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]));
        Schema::Object(object.enum_values(Some([json!(false), Value::Null])).build()).into()
    }
}

impl FieldValue for Unread {
    const REQUIRED: bool = false;
    const EFFECT: Effect = Effect::None;

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

pub(super) fn optional(r#type: Type, values: Option<Vec<Value>>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(SchemaType::from_iter([r#type, Type::Null]));
    let with_null = |mut values: Vec<Value>| {
        values.push(Value::Null);
        values
    };
    Schema::Object(object.enum_values(values.map(with_null)).build()).into()
}
