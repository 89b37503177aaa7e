//! Lists of token ids.

use std::marker::PhantomData;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};

use super::text::{array, check_count};
use super::{ClientInput, FieldValue, Input};
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::wrong_type;
use crate::openapi::{Schemas, any_of};
use crate::request::{Field, RequestError, Texts};

/// Required token ids of a text, or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct TokenIds {
    pub(crate) field: Field,
    /// The ids of each text; empty for one whose fault was recorded.
    pub(crate) texts: Vec<Vec<u32>>,
    /// Whether the request has a list of texts.
    pub(crate) is_list: bool,
    /// Whether faults of texts are recorded.
    pub(crate) keeps_good: bool,
    /// The recorded faults, by index.
    pub(crate) faults: Vec<(usize, RequestError)>,
}

/// Texts, or the token ids of texts.
pub(crate) enum TextsOrIds {
    /// Texts.
    Texts(Texts),
    /// Token ids.
    Ids(TokenIds),
}

/// A field with texts, or with token ids instead: a list of numbers, or a list of such lists.
pub(crate) struct WithIds<T> {
    pub(crate) input: TextsOrIds,
    kind: PhantomData<T>,
}

/// A field with texts that token ids can replace.
pub(crate) trait TextField: FieldValue {
    /// Name of its schema with token ids.
    const NAME: &'static str;

    /// Returns its texts.
    fn into_texts(self) -> Texts;

    /// Maximum number of texts.
    fn limit(limits: &Limits) -> usize;
}

impl TextField for Input {
    const NAME: &'static str = "InputOrIds";

    fn into_texts(self) -> Texts {
        self.0
    }

    fn limit(limits: &Limits) -> usize {
        limits.texts
    }
}

impl TextField for ClientInput {
    const NAME: &'static str = "ClientInputOrIds";

    fn into_texts(self) -> Texts {
        self.0
    }

    fn limit(limits: &Limits) -> usize {
        limits.client_texts
    }
}

impl TokenIds {
    /// The field of text `index`, for errors.
    pub(crate) fn field_of(&self, index: usize) -> Field {
        if self.is_list { self.field.at(index) } else { self.field }
    }

    /// Returns the ids of the texts of these indices.
    pub(crate) fn of(&self, items: &[usize]) -> Vec<&[u32]> {
        items.iter().map(|&item| self.texts[item].as_slice()).collect()
    }

    /// Returns the number of tokens that a model reads of the texts, of at most `max_tokens` of each.
    pub(crate) fn tokens(&self, max_tokens: usize) -> usize {
        self.texts.iter().map(|ids| ids.len().min(max_tokens)).sum()
    }

    /// Returns the ids in the items of a field.
    fn new(
        items: &[Value],
        field: Field,
        limit: usize,
        keeps_good: bool,
    ) -> Result<Self, RequestError> {
        if items.is_empty() {
            return Err(RequestError::NoTexts { field });
        }
        let is_list = items.first().is_some_and(Value::is_array);
        let keeps_good = keeps_good && is_list;
        let mut found = Self { field, texts: Vec::new(), is_list, keeps_good, faults: Vec::new() };
        if !is_list {
            found.texts.push(ids(items, field)?);
            return Ok(found);
        }
        check_count(items.len(), field, limit)?;
        for (index, item) in items.iter().enumerate() {
            let field = field.at(index);
            let text = match item {
                Value::Array(items) => ids(items, field),
                other => Err(wrong_type(field, "an array of token ids", other)),
            };
            match text {
                Err(fault) if keeps_good => {
                    found.faults.push((index, fault));
                    found.texts.push(Vec::new());
                }
                text => found.texts.push(text?),
            }
        }
        Ok(found)
    }
}

impl<T: TextField> FieldValue for WithIds<T> {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let is_ids = |value: &Value| match value {
            Value::Array(items) => {
                matches!(items.first(), Some(Value::Number(_) | Value::Array(_)))
            }
            _ => false,
        };
        let (field, keeps_good) = (fields.field(name), fields.reading().keeps_good);
        let input = match fields.has(name, is_ids) {
            false => TextsOrIds::Texts(T::take(fields, name, limits)?.into_texts()),
            true => {
                let items = fields.required(name)?;
                let items = items.as_array().map_or(&[][..], Vec::as_slice);
                TextsOrIds::Ids(TokenIds::new(items, field, T::limit(limits), keeps_good)?)
            }
        };
        Ok(Self { input, kind: PhantomData })
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add(T::NAME, |schemas| {
            let (texts, ids) = (T::schema(schemas), TokenIds::schema(schemas));
            any_of([texts, ids])
        })
    }
}

/// Returns the ids of a text.
fn ids(items: &[Value], field: Field) -> Result<Vec<u32>, RequestError> {
    let id = |item: &Value| {
        let Value::Number(number) = item else {
            return Err(wrong_type(field, "an array of token ids", item));
        };
        let id = number.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| RequestError::OutOfRange {
            field,
            minimum: 0,
            maximum: Some(u32::MAX.into()),
            found: number.to_string(),
        })
    };
    items.iter().map(id).collect()
}

impl FieldValue for TokenIds {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let field = fields.field(name);
        match fields.required(name)? {
            Value::Array(items) => Self::new(&items, field, limits.texts, false),
            other => Err(wrong_type(field, "an array of token ids", &other)),
        }
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("TokenIds", |schemas| {
            let id = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Integer))
                .minimum(Some(0_usize));
            let text = ArrayBuilder::new().items(RefOr::T(Schema::Object(id.build())));
            let text: RefOr<Schema> = Schema::Array(text.build()).into();
            let maximum = schemas.limits().texts;
            let any = AnyOfBuilder::new()
                .item(text.clone())
                .item(array(text, 1, maximum, "A list of at least one text."))
                .description(Some("The token ids of a text, or a list of them."));
            Schema::AnyOf(any.build()).into()
        })
    }
}
