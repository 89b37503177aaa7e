//! Types of fields. Each type reads and validates its value, and describes it as a schema.

mod choice;
mod content;
mod document;
mod ids;
mod number;
mod option;
mod search;
mod text;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::{Body, Fields};
use crate::Limits;
use crate::openapi::Schemas;
use crate::request::RequestError;

pub(crate) use choice::{
    Choice, ChoiceList, Choices, Direction, OnError, Truncate, one_of, truncation,
};
pub(crate) use content::ContentInputs;
pub(crate) use document::{ClientInput, Documents};
pub(crate) use ids::{TextsOrIds, TokenIds, WithIds};
pub(crate) use number::{Count, Dimensions, PromptTokens, Score};
pub(crate) use option::{Absent, Flag, Names, PromptName, Unread, Unsupported};
pub(crate) use search::{FilterField, IndexName, Vectors};
pub(crate) use text::{Candidates, Input, Pairs, Text, TextList};

/// What the value of a field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is carried out.
    Applied,
    /// It is accepted and changes nothing.
    None,
    /// It is refused by name.
    Refused,
}

impl Effect {
    /// Its name in the OpenAPI document and in docs/http.md.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::None => "no effect",
            Self::Refused => "refused",
        }
    }
}

/// The value of a field.
pub(crate) trait FieldValue: Sized {
    /// Whether the field is required.
    const REQUIRED: bool;

    /// What a value does.
    const EFFECT: Effect = Effect::Applied;

    /// Reads the value of the field `name` and validates it.
    fn take(fields: &mut Fields, name: &'static str, limits: &Limits)
    -> Result<Self, RequestError>;

    /// Returns the schema of the value, and adds the schemas that it refers to.
    fn schema(schemas: &mut Schemas) -> RefOr<Schema>;
}

/// A field that can be absent or null, although its type is required.
pub(crate) struct Optional<T>(pub(crate) Option<T>);

impl<T: FieldValue> FieldValue for Optional<T> {
    const REQUIRED: bool = false;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        match fields.has(name, |value| !value.is_null()) {
            true => T::take(fields, name, limits).map(|value| Self(Some(value))),
            false => Ok(Self(None)),
        }
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        Schemas::or_null(T::schema(schemas))
    }
}

/// A required object with its own body.
pub(crate) struct Object<T>(pub(crate) T);

/// An optional object with its own body, whose fields are all optional.
pub(crate) struct OptionalObject<T>(pub(crate) T);

impl<T: Body> FieldValue for Object<T> {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        Ok(Self(T::decode(&mut fields.object(name)?, limits)?))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.body::<T>()
    }
}

impl<T: Body> FieldValue for OptionalObject<T> {
    const REQUIRED: bool = false;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        Ok(Self(T::decode(&mut fields.optional_object(name)?, limits)?))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        Schemas::or_null(schemas.body::<T>())
    }
}
