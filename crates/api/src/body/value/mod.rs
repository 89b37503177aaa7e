//! Types of fields: each takes its value from a request, checks it, and describes it as a schema.

mod number;
mod option;
mod text;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::{Body, Fields};
use crate::Limits;
use crate::openapi::Schemas;
use crate::request::RequestError;

pub(crate) use number::{Count, Dimensions};
pub(crate) use option::{Absent, Choice, Choices, Direction, Flag, PromptName, Unread, truncation};
pub(crate) use text::{Candidates, Documents, Input, Pairs, Text, TextList};

/// The value of a field.
pub(crate) trait FieldValue: Sized {
    /// Whether the field must be there.
    const REQUIRED: bool;

    /// Takes the value from the field `name` and checks it.
    fn take(fields: &mut Fields, name: &'static str, limits: &Limits)
    -> Result<Self, RequestError>;

    /// Returns the schema of the value; schemas that it refers to are added.
    fn schema(schemas: &mut Schemas) -> RefOr<Schema>;
}

/// A required object with a body of its own.
pub(crate) struct Object<T>(pub(crate) T);

/// An optional object with a body of its own, whose fields are all optional.
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
