//! Lists of token ids.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};

use super::FieldValue;
use super::text::{array, check_count};
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::wrong_type;
use crate::openapi::Schemas;
use crate::request::{Field, RequestError};

/// Required token ids of a text, or a list of them.
pub(crate) struct TokenIds {
    pub(crate) field: Field,
    pub(crate) texts: Vec<Vec<u32>>,
    /// Whether the request has a list of texts.
    pub(crate) is_list: bool,
}

impl TokenIds {
    /// The field of text `index`, for errors.
    pub(crate) fn field_of(&self, index: usize) -> Field {
        if self.is_list { self.field.at(index) } else { self.field }
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
        let items = match fields.required(name)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, "an array of token ids", &other)),
        };
        if items.is_empty() {
            return Err(RequestError::NoTexts { field });
        }
        if !items.iter().all(Value::is_array) {
            return Ok(Self { field, texts: vec![ids(&items, field)?], is_list: false });
        }
        check_count(items.len(), field, limits.texts)?;
        let items = items.iter().enumerate();
        let texts = items.map(|(index, item)| {
            ids(item.as_array().map_or(&[][..], Vec::as_slice), field.at(index))
        });
        Ok(Self { field, texts: texts.collect::<Result<_, _>>()?, is_list: true })
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
