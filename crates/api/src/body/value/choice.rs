//! Choices among named values. Each is optional; null counts as absent.

use semblance::Truncation;
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::FieldValue;
use super::option::{Flag, optional};
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::wrong_type;
use crate::openapi::Schemas;
use crate::request::{Field, RequestError};

/// An optional choice.
pub(crate) struct Choice<T>(pub(crate) Option<T>);

/// The values of a choice.
pub(crate) trait Choices: Copy + 'static {
    /// The values with their spellings.
    const VALUES: &'static [(&'static str, Self)];
    /// The values, for an error message.
    const EXPECTED: &'static str;
    /// Values of the dialect that this service does not support.
    const UNSUPPORTED: &'static [&'static str] = &[];
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

/// Returns the value of an option with two names. Both can be given if they are equal. `name` is that of the
/// second one, and `other` that of the first.
pub(crate) fn one_of<T: PartialEq>(
    first: Option<T>,
    second: Option<T>,
    name: &'static str,
    other: &'static str,
) -> Result<Option<T>, RequestError> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => {
            Err(RequestError::Contradiction { field: Field::new(name), other })
        }
        (first, second) => Ok(first.or(second)),
    }
}

/// What to do with an invalid text of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// The request is refused.
    Refuse,
    /// The other texts are processed.
    Null,
}

impl Choices for OnError {
    const VALUES: &'static [(&'static str, Self)] =
        &[("error", Self::Refuse), ("null", Self::Null)];
    const EXPECTED: &'static str = "\"error\" or \"null\"";
}

/// An optional list of choices, or one choice.
pub(crate) struct ChoiceList<T>(pub(crate) Option<Vec<T>>);

/// How to handle a text beyond the model's limit: a boolean, or `NONE`, `START` or `END`.
pub(crate) struct Truncate(pub(crate) Option<Truncation>);

impl Choices for Truncation {
    const VALUES: &'static [(&'static str, Self)] =
        &[("NONE", Self::Refuse), ("START", Self::Left), ("END", Self::Right)];
    const EXPECTED: &'static str = "a boolean, \"NONE\", \"START\" or \"END\"";
}

/// Returns the choice that is written like this. The case is ignored; the schema lists the common
/// spellings.
fn chosen<T: Choices>(written: &str, field: Field) -> Result<T, RequestError> {
    let expected = T::EXPECTED;
    if let Some(&(_, value)) =
        T::VALUES.iter().find(|(value, _)| written.eq_ignore_ascii_case(value))
    {
        return Ok(value);
    }
    match T::UNSUPPORTED.iter().any(|value| written.eq_ignore_ascii_case(value)) {
        true => Err(RequestError::UnsupportedOption { field, expected }),
        false => Err(RequestError::UnknownValue { field, expected: expected.into() }),
    }
}

impl<T: Choices> FieldValue for Choice<T> {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let Some(written) = fields.name(name)? else { return Ok(Self(None)) };
        chosen(&written, field).map(|value| Self(Some(value)))
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let names = T::VALUES.iter().map(|(value, _)| json!(value)).collect();
        optional(Type::String, Some(names))
    }
}

impl<T: Choices> FieldValue for ChoiceList<T> {
    const REQUIRED: bool = false;

    fn take(fields: &mut Fields, name: &'static str, _: &Limits) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let items = match fields.optional(name)? {
            None => return Ok(Self(None)),
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
        };
        let item = |item: &Value| match item.as_str() {
            Some(written) => chosen(written, field),
            None => Err(wrong_type(field, "an array of strings", item)),
        };
        let values: Vec<T> = items.iter().map(item).collect::<Result<_, _>>()?;
        Ok(Self(Some(values).filter(|values| !values.is_empty())))
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let names: Vec<Value> = T::VALUES.iter().map(|(value, _)| json!(value)).collect();
        let item = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let item = item.enum_values(Some(names));
        let list = ArrayBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
            .items(item);
        Schema::Array(list.build()).into()
    }
}

impl FieldValue for Truncate {
    const REQUIRED: bool = false;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        match fields.get(name).as_ref() {
            Some(Value::Bool(true)) => Ok(Self(Some(Truncation::Right))),
            Some(Value::Bool(false)) => Ok(Self(Some(Truncation::Refuse))),
            _ => Choice::take(fields, name, limits).map(|Choice(value)| Self(value)),
        }
    }

    fn schema(_: &mut Schemas) -> RefOr<Schema> {
        let names = Truncation::VALUES.iter().map(|(value, _)| json!(value));
        let values = [json!(true), json!(false)].into_iter().chain(names).chain([Value::Null]);
        let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        Schema::Object(any.enum_values(Some(values)).build()).into()
    }
}
