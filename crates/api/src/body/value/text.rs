//! Texts, lists of texts and pairs of texts, within the limits.

use semblance::options::Sequence;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};

use super::{Direction, FieldValue};
use crate::Limits;
use crate::body::Fields;
use crate::body::fields::{Reading, wrong_type};
use crate::openapi::Schemas;
use crate::request::{Field, OneText, RequestError, TextFault, Texts, check_text};

/// A required text.
pub(crate) struct Text(pub(crate) Texts);

/// A required list of texts, which may be empty.
pub(crate) struct Candidates(pub(crate) Texts);

/// A required list of at least one text.
pub(crate) struct TextList(pub(crate) Texts);

/// A required text, or list of at least one text.
pub(crate) struct Input(pub(crate) Texts);

/// A text, or a pair of texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnedSequence {
    pub(crate) first: String,
    pub(crate) second: Option<String>,
}

impl OwnedSequence {
    /// Returns its texts for the model.
    pub(crate) fn as_sequence(&self) -> Sequence<'_> {
        Sequence { first: &self.first, second: self.second.as_deref() }
    }
}

/// A required text or pair of texts, or list of at least one of them.
#[derive(Default)]
pub(crate) struct Pairs {
    pub(crate) field: Field,
    pub(crate) pairs: Vec<OwnedSequence>,
    /// Whether the request has a text, not a list.
    pub(crate) is_text: bool,
    /// Whether the request has a list of pairs, not a single pair.
    pub(crate) is_list: bool,
    /// Whether invalid pairs are recorded.
    pub(crate) keeps_good: bool,
    /// The invalid pairs, by index. Their texts are empty.
    pub(crate) faults: Vec<(usize, RequestError)>,
    /// Indices of the pairs of which a part was removed because of its size.
    pub(crate) cut: Vec<usize>,
}

impl Pairs {
    /// Adds the next pair, or records its fault.
    fn add(
        &mut self,
        pair: Result<(OneText, Option<OneText>), RequestError>,
        keeps_good: bool,
    ) -> Result<(), RequestError> {
        self.keeps_good = keeps_good;
        let index = self.pairs.len();
        match pair {
            Ok((first, second)) => {
                if first.is_cut || second.as_ref().is_some_and(|text| text.is_cut) {
                    self.cut.push(index);
                }
                let second = second.map(|second| second.text);
                self.pairs.push(OwnedSequence { first: first.text, second });
            }
            Err(fault) if keeps_good => {
                self.faults.push((index, fault));
                self.pairs.push(OwnedSequence::default());
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// The field of pair `index`, for errors.
    pub(crate) fn field_of(&self, index: usize) -> Field {
        if self.is_list { self.field.at(index) } else { self.field }
    }
}

/// The pattern of a text: at least one character that is neither white space (Unicode property
/// `White_Space`) nor U+0000. A text that matches can still have no tokens.
const PATTERN: &str =
    r"[^\u0000\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";

/// Size in bytes up to which a text that is truncated is kept: far more than any model reads, and few
/// enough to bound the memory of the tokenizer.
const MAX_KEPT_BYTES: usize = 256 << 10;

impl FieldValue for Text {
    const REQUIRED: bool = true;

    fn take(
        fields: &mut Fields,
        name: &'static str,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        let (field, reading) = (fields.field(name), fields.reading());
        let text = text(fields.required(name)?, field, limits, reading)?;
        Ok(Self(Texts::one(field, text)))
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        let max_bytes = schemas.limits().text_bytes;
        schemas.add("Text", |_| {
            let about = format!(
                "A text. It must have at least one token besides special ones. If it must not be truncated, its \
                 size must not exceed {max_bytes} bytes in UTF-8."
            );
            let text = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .description(Some(about))
                .min_length(Some(1))
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
            Value::Array(items) => texts(items, field, limits, fields.reading()).map(Self),
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
            Value::String(value) => {
                Ok(Self(Texts::one(field, text(value.into(), field, limits, fields.reading())?)))
            }
            Value::Array(items) => {
                at_least_one(texts(items, field, limits, fields.reading())?, field).map(Self)
            }
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
            one @ Value::String(_) => {
                let mut pairs = Self { field, is_text: true, ..Self::default() };
                let text = text(one, field, limits, fields.reading())?;
                pairs.add(Ok((text, None)), fields.reading().keeps_good)?;
                return Ok(pairs);
            }
            other => {
                let expected = "a text, a pair of texts or an array of them";
                return Err(wrong_type(field, expected, &other));
            }
        };
        // A list whose items are not all pairs is a list of pairs if its first item is one.
        let is_list = items.iter().all(Value::is_array)
            || fields.reading().keeps_good && items.first().is_some_and(Value::is_array);
        if items.is_empty() {
            return Err(RequestError::NoTexts { field });
        }
        let reading = fields.reading();
        let pair = |pair: Vec<Value>, field: Field| {
            let count = pair.len();
            let mut parts = pair.into_iter();
            let (Some(first), second, None) = (parts.next(), parts.next(), parts.next()) else {
                return Err(RequestError::NotAPair { field, count });
            };
            let part = |index: usize, part| match is_list {
                true => field.part(part),
                false => field.at(index),
            };
            let first = text(first, part(0, "[0]"), limits, reading)?;
            let second = second.map(|it| text(it, part(1, "[1]"), limits, reading)).transpose()?;
            Ok((first, second))
        };
        let mut pairs = Self { field, is_list, ..Self::default() };
        if !is_list {
            let one = pair(items, field);
            pairs.add(one, reading.keeps_good)?;
            return Ok(pairs);
        }
        check_count(items.len(), field, limits.texts)?;
        for (index, item) in items.into_iter().enumerate() {
            let field = field.at(index);
            let item = match item {
                Value::Array(items) => pair(items, field),
                other => Err(wrong_type(field, "an array of one text or two", &other)),
            };
            pairs.add(item, reading.keeps_good)?;
        }
        Ok(pairs)
    }

    fn schema(schemas: &mut Schemas) -> RefOr<Schema> {
        schemas.add("PairInput", |schemas| {
            let pair = schemas.add("Pair", |schemas| {
                let pair = ArrayBuilder::new()
                    .items(Text::schema(schemas))
                    .description(Some("One text, or two."))
                    .min_items(Some(1))
                    .max_items(Some(2));
                Schema::Array(pair.build()).into()
            });
            let maximum = schemas.limits().texts;
            let about = "A list of at least one text or pair of texts.";
            let pairs = array(pair.clone(), 1, maximum, about);
            let any =
                AnyOfBuilder::new().item(Text::schema(schemas)).item(pair).item(pairs).description(
                    Some("A text, a pair of texts, or a list of at least one of them."),
                );
            Schema::AnyOf(any.build()).into()
        })
    }
}

fn list<T: FieldValue>(schemas: &mut Schemas, minimum: usize, about: &str) -> RefOr<Schema> {
    let (item, maximum) = (T::schema(schemas), schemas.limits().texts);
    array(item, minimum, maximum, about)
}

pub(super) fn array(
    item: RefOr<Schema>,
    minimum: usize,
    maximum: usize,
    about: &str,
) -> RefOr<Schema> {
    let array = ArrayBuilder::new()
        .items(item)
        .description(Some(about))
        .min_items((minimum > 0).then_some(minimum))
        .max_items(Some(maximum));
    Schema::Array(array.build()).into()
}

/// Returns the items of a list as texts.
fn texts(
    items: Vec<Value>,
    field: Field,
    limits: &Limits,
    reading: Reading,
) -> Result<Texts, RequestError> {
    check_count(items.len(), field, limits.texts)?;
    let items = items.into_iter().enumerate();
    let items = items.map(|(index, item)| text(item, field.at(index), limits, reading));
    Texts::list(field, items, reading.keeps_good)
}

pub(super) fn at_least_one(texts: Texts, field: Field) -> Result<Texts, RequestError> {
    if texts.as_slice().is_empty() { Err(RequestError::NoTexts { field }) } else { Ok(texts) }
}

/// Checks that a list has no more texts than the limit.
pub(super) fn check_count(count: usize, field: Field, limit: usize) -> Result<(), RequestError> {
    if count > limit {
        return Err(RequestError::TooManyTexts { field, count, limit });
    }
    Ok(())
}

/// Returns a text that is a string within the size limit. A text that is truncated anyway can be
/// longer; the part that no model reads is removed.
pub(super) fn text(
    value: Value,
    field: Field,
    limits: &Limits,
    reading: Reading,
) -> Result<OneText, RequestError> {
    let text = match value {
        Value::String(text) => text,
        other => return Err(wrong_type(field, "a string", &other)),
    };
    match (check_text(&text, limits), reading.truncation) {
        (Ok(()), _) => Ok(OneText { text, is_cut: false }),
        (Err(TextFault::TooLong { .. }), Some(side)) => {
            let text = kept(&text, side, limits.text_bytes.max(MAX_KEPT_BYTES)).to_owned();
            Ok(OneText { text, is_cut: true })
        }
        (Err(fault), _) => Err(RequestError::Text { field, fault }),
    }
}

/// Returns the part of a text that remains if it is truncated to this size. White space at the side
/// that remains has no tokens and does not count.
fn kept(text: &str, side: Direction, bytes: usize) -> &str {
    match side {
        Direction::Right => {
            let text = text.trim_start();
            &text[..text.floor_char_boundary(bytes)]
        }
        Direction::Left => {
            let text = text.trim_end();
            &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("  {}", "é".repeat(5));
        assert_eq!(kept(&text, Direction::Right, 5), "éé");
        assert_eq!(kept(&format!("{text} \n"), Direction::Left, 5), "éé");
        assert_eq!(kept("abc", Direction::Left, 5), "abc");
    }
}
