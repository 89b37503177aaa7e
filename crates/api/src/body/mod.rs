//! Bodies of requests. [`body!`](crate::body) declares a body and generates its decoder and its
//! schema.

mod fields;
mod json;
mod options;
mod value;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::Limits;
use crate::openapi::Schemas;
use crate::request::RequestError;

pub(crate) use fields::Fields;
pub use json::{parse_json, readable_json};
pub(crate) use value::{
    Absent, Candidates, Choice, ChoiceList, Choices, ClientInput, ContentInputs, Count, Dimensions,
    Direction, Documents, Effect, FieldValue, FilterField, Flag, IndexName, Input, Names, Object,
    OnError, Optional, OptionalObject, Pairs, PromptName, PromptTokens, Score, Text, TextList,
    TextsOrIds, TokenIds, Truncate, Unread, Unsupported, Vectors, WithIds, one_of, truncation,
};

/// A body of a request, with its decoder and its schema.
pub(crate) trait Body: Sized {
    /// Name of its schema.
    const NAME: &'static str;

    /// Reads and validates the fields of the body. Undeclared fields are ignored, except for options of
    /// other routes.
    fn decode(fields: &mut Fields, limits: &Limits) -> Result<Self, RequestError>;

    /// Returns its schema, and adds the schemas that it refers to.
    fn schema(schemas: &mut Schemas) -> RefOr<Schema>;
}

/// Declares a [`Body`]: its description, an example, and its fields with their descriptions.
macro_rules! body {
    (
        $(#[doc = $about:literal])+
        $vis:vis $name:ident = $example:tt {
            $($(#[doc = $doc:literal])* $field:ident: $value:ty,)+
        }
    ) => {
        $(#[doc = $about])+
        #[allow(dead_code, reason = "some fields are described and have no effect")]
        $vis struct $name {
            $($(#[doc = $doc])* $field: $value,)+
        }

        impl $crate::body::Body for $name {
            const NAME: &'static str = stringify!($name);

            fn decode(
                fields: &mut $crate::body::Fields,
                limits: &$crate::Limits,
            ) -> Result<Self, $crate::RequestError> {
                let body = Self {
                    $($field: $crate::body::FieldValue::take(fields, stringify!($field), limits)?,)+
                };
                fields.refuse_options(&[$(stringify!($field),)+])?;
                Ok(body)
            }

            fn schema(
                schemas: &mut $crate::openapi::Schemas,
            ) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let object = $crate::openapi::ObjectSchema::new(concat!($($about),+))
                    .example(serde_json::json!($example));
                $(let object = object.field::<$value>(
                    schemas,
                    stringify!($field),
                    concat!($($doc),*),
                );)+
                object.build()
            }
        }
    };
}
pub(crate) use body;
