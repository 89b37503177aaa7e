//! Texts, lists of texts and pairs of texts, within the limits.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};

use super::FieldValue;
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::wrong_type;
use crate::openapi::Schemas;
use crate::request::{Field, RequestError, Texts, check_text};

/// A required text.
pub(crate) struct Text(pub(crate) Texts);

/// A required list of texts, which may be empty.
pub(crate) struct Candidates(pub(crate) Texts);

/// A required list of at least one text.
pub(crate) struct TextList(pub(crate) Texts);

/// A required text, or list of at least one text.
pub(crate) struct Input(pub(crate) Texts);

/// A required list of at least one document. A document is a text, or an object with a text.
pub(crate) struct Documents(pub(crate) Texts);

/// A required pair of texts, or list of at least one pair.
pub(crate) struct Pairs {
    pub(crate) field: Field,
    pub(crate) pairs: Vec<[String; 2]>,
    /// Whether the request has a list of pairs, not a single pair.
    pub(crate) is_list: bool,
}

/// The pattern of a text: at least one character that is neither white space (Unicode property
/// `White_Space`) nor U+0000, and no U+0000 elsewhere.
const PATTERN: &str = concat!(
    r"^[^\u0000]*",
    r"[^\u0000\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000]*$"
);

impl FieldValue for Text {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        Ok(Self(Texts::one(field, text(fields.required(name)?, field, limits)?)))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        let max_bytes = schemas.limits().text_bytes;
        schemas.add("Text", |_| {
            let text = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .description(Some(
                    "A text. It must not be blank or contain U+0000. Its size in UTF-8 must not exceed \
                     the limit of the service.",
                ))
                .min_length(Some(1))
                .max_length(Some(max_bytes))
                .pattern(Some(PATTERN));
            Schema::Object(text.build()).into()
        })
    }
}

impl FieldValue for Candidates {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        match fields.required(name)? {
            Value::Array(items) => texts(items, field, limits).map(Self),
            other => Err(wrong_type(field, "an array of strings", &other)),
        }
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("Candidates", |schemas| {
            list::<Text>(schemas, 0, "A list of texts. It can be empty.")
        })
    }
}

impl FieldValue for TextList {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let Candidates(texts) = Candidates::take(fields, name, limits)?;
        at_least_one(texts, field).map(Self)
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("Texts", |schemas| list::<Text>(schemas, 1, "A list of at least one text."))
    }
}

impl FieldValue for Input {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        match fields.required(name)? {
            Value::String(value) => Ok(Self(Texts::one(field, text(value.into(), field, limits)?))),
            Value::Array(items) => at_least_one(texts(items, field, limits)?, field).map(Self),
            other => Err(wrong_type(field, "a string or an array of strings", &other)),
        }
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("Input", |schemas| {
            let any = AnyOfBuilder::new()
                .item(Text::schema(schemas))
                .item(TextList::schema(schemas))
                .description(Some("A text, or a list of at least one text."));
            Schema::AnyOf(any.build()).into()
        })
    }
}

impl FieldValue for Documents {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let items = match fields.required(name)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, "an array of strings or of objects", &other)),
        };
        if items.is_empty() {
            return Err(RequestError::NoTexts { field });
        }
        check_count(items.len(), field, limits)?;
        let item = |(index, item)| match item {
            Value::Object(mut document) => {
                let field = field.at(index).part(".text");
                let value = document.remove("text").ok_or(RequestError::MissingField { field })?;
                text(value, field, limits)
            }
            other => text(other, field.at(index), limits),
        };
        let texts = items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?;
        Ok(Self(Texts::list(field, texts)))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("Documents", |schemas| {
            let object = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Object))
                .property("text", Text::schema(schemas))
                .required("text");
            let item = AnyOfBuilder::new()
                .item(Text::schema(schemas))
                .item(RefOr::T(Schema::Object(object.build())))
                .description(Some("A text, or an object that contains it."));
            let item = Schema::AnyOf(item.build());
            array(schemas, item.into(), 1, "A list of at least one text to rank.")
        })
    }
}

impl FieldValue for Pairs {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        let items = match fields.required(name)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, "a pair of texts or an array of pairs", &other)),
        };
        let is_list = items.iter().all(Value::is_array);
        if items.is_empty() {
            return Err(RequestError::NoTexts { field });
        }
        if !is_list {
            let count = items.len();
            let [first, second] = <[Value; 2]>::try_from(items)
                .map_err(|_| RequestError::NotAPair { field, count })?;
            let first = text(first, field.at(0), limits)?;
            let pairs = vec![[first, text(second, field.at(1), limits)?]];
            return Ok(Self { field, pairs, is_list });
        }
        check_count(items.len(), field, limits)?;
        let item = |(index, item)| match item {
            Value::Array(pair) => {
                let count = pair.len();
                let [first, second] = <[Value; 2]>::try_from(pair)
                    .map_err(|_| RequestError::NotAPair { field: field.at(index), count })?;
                let first = text(first, field.at(index).part("[0]"), limits)?;
                Ok([first, text(second, field.at(index).part("[1]"), limits)?])
            }
            other => Err(wrong_type(field.at(index), "a pair of texts", &other)),
        };
        let pairs = items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?;
        Ok(Self { field, pairs, is_list })
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("PairInput", |schemas| {
            let pair = schemas.add("Pair", |schemas| {
                let pair = ArrayBuilder::new()
                    .items(Text::schema(schemas))
                    .description(Some("Two texts."))
                    .min_items(Some(2))
                    .max_items(Some(2));
                Schema::Array(pair.build()).into()
            });
            let pairs = array(schemas, pair.clone(), 1, "A list of at least one pair of texts.");
            let any = AnyOfBuilder::new()
                .item(pair)
                .item(pairs)
                .description(Some("A pair of texts, or a list of at least one pair."));
            Schema::AnyOf(any.build()).into()
        })
    }
}

fn list<T: FieldValue>(schemas: &mut Schemas, minimum: usize, about: &str) -> RefOr<Schema> {
    let item = T::schema(schemas);
    array(schemas, item, minimum, about)
}

fn array(schemas: &Schemas, item: RefOr<Schema>, minimum: usize, about: &str) -> RefOr<Schema> {
    let array = ArrayBuilder::new()
        .items(item)
        .description(Some(about))
        .min_items((minimum > 0).then_some(minimum))
        .max_items(Some(schemas.limits().texts));
    Schema::Array(array.build()).into()
}

/// Returns the items of a list as validated texts.
fn texts(items: Vec<Value>, field: Field, limits: &Limits) -> Result<Texts, RequestError> {
    check_count(items.len(), field, limits)?;
    let item = |(index, value)| text(value, field.at(index), limits);
    Ok(Texts::list(field, items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?))
}

fn at_least_one(texts: Texts, field: Field) -> Result<Texts, RequestError> {
    if texts.as_slice().is_empty() { Err(RequestError::NoTexts { field }) } else { Ok(texts) }
}

/// Checks that a list has no more texts than the limit.
fn check_count(count: usize, field: Field, limits: &Limits) -> Result<(), RequestError> {
    let limit = limits.texts;
    if count > limit {
        return Err(RequestError::TooManyTexts { field, count, limit });
    }
    Ok(())
}

/// Returns a text that is a string and passes [`check_text`].
fn text(value: Value, field: Field, limits: &Limits) -> Result<String, RequestError> {
    let text = match value {
        Value::String(text) => text,
        other => return Err(wrong_type(field, "a string", &other)),
    };
    check_text(&text, limits).map_err(|fault| RequestError::Text { field, fault })?;
    Ok(text)
}
