//! Bytes to JSON values, in bounded memory.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::request::{Kind, RequestError};

/// Maximum memory of the values of a field of a request in bytes, as estimated by the constants below. A
/// server parses several at a time.
const MAX_FIELD_BYTES: usize = 32 << 20;

/// Maximum number of fields of an object whose fields are named.
const MAX_FIELDS: usize = 1024;

/// Memory of an item of an array: its value, and as much unused capacity.
const ITEM_BYTES: usize = 2 * size_of::<Value>();

/// Memory of a field of an object: name, value, and unused capacity of its node.
const FIELD_BYTES: usize = 2 * (size_of::<String>() + size_of::<Value>());

/// Memory of an object with one field: a node of a B-tree has room for 11.
const OBJECT_BYTES: usize = 11 * (size_of::<String>() + size_of::<Value>());

/// Memory that the allocator uses for a string in addition to its bytes.
const STRING_BYTES: usize = 32;

/// The byte order mark in UTF-8. A parser may ignore it (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the JSON value in these bytes. A byte order mark is ignored, and a lone surrogate becomes
/// U+FFFD; see [`readable_json`].
///
/// # Errors
/// - [`RequestError::InvalidJson`] if they are not JSON in UTF-8, nest more than 128 levels deep, or
///   contain a number beyond f64.
/// - [`RequestError::DuplicateField`] if an object has two fields of the same name.
/// - [`RequestError::TooManyValues`] if the values need too much memory.
pub fn parse_json(bytes: &[u8]) -> Result<Value, RequestError> {
    let bytes = readable_json(bytes);
    parse(&bytes, 0..bytes.len())
}

/// Returns JSON without a byte order mark, in which each escape of a lone surrogate, such as `\ud83d`
/// without its second half, is the escape of U+FFFD. UTF-8 cannot express a lone surrogate, so JSON
/// parsers for UTF-8 refuse it; JavaScript writes one for half an emoji.
#[must_use]
pub fn readable_json(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut repaired = Cow::Borrowed(bytes);
    let mut at = 0;
    while let Some(offset) = bytes[at..].iter().position(|&byte| byte == b'\\') {
        at += offset;
        match unit(&bytes[at..]) {
            Some(0xd800..=0xdbff) if is_low(&bytes[at + ESCAPE_BYTES..]) => at += 2 * ESCAPE_BYTES,
            Some(0xd800..=0xdfff) => {
                repaired.to_mut()[at..at + ESCAPE_BYTES].copy_from_slice(b"\\ufffd");
                at += ESCAPE_BYTES;
            }
            Some(_) => at += ESCAPE_BYTES,
            // Another escape has one character, which can be a backslash.
            None => at = (at + 2).min(bytes.len()),
        }
    }
    repaired
}

/// Length of the escape of a UTF-16 code unit: `\uXXXX`.
const ESCAPE_BYTES: usize = 6;

/// Returns the UTF-16 code unit whose escape is at the start of these bytes.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit: u16, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// Whether the escape of a low surrogate is at the start of these bytes.
fn is_low(bytes: &[u8]) -> bool {
    matches!(unit(bytes), Some(0xdc00..=0xdfff))
}

/// Returns the JSON value in a part of a document. Positions in errors are those in the document.
pub(super) fn parse_part(document: &[u8], part: Range<usize>) -> Result<Value, RequestError> {
    parse(document, part)
}

fn parse(document: &[u8], part: Range<usize>) -> Result<Value, RequestError> {
    let memory = Memory::new(MAX_FIELD_BYTES);
    let mut parser = serde_json::Deserializer::from_slice(&document[part.clone()]);
    let value = ValueSeed(&memory).deserialize(&mut parser);
    let value = value.and_then(|value| parser.end().map(|()| value));
    value.map_err(|error| memory.error(&error, document, part.start))
}

/// Returns the fields of the object in a part of a document, each with its place. The values are
/// checked for syntax and take no memory.
pub(super) fn parse_fields(
    document: &[u8],
    part: Range<usize>,
) -> Result<BTreeMap<String, Range<usize>>, RequestError> {
    let memory = Memory::new(MAX_FIELD_BYTES);
    let bytes = &document[part.clone()];
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let fields = match first_byte(bytes) {
        Some(b'{') => FieldsSeed(&memory).deserialize(&mut parser).map(Ok),
        // The syntax has precedence over the type.
        _ => <&RawValue as serde::Deserialize>::deserialize(&mut parser).map(Err),
    };
    let fields = fields.and_then(|fields| parser.end().map(|()| fields));
    let fields = fields.map_err(|error| memory.error(&error, document, part.start))?;
    let fields = fields
        .map_err(|other| RequestError::NotAnObject { found: kind(other.get().as_bytes()) })?;
    let start = document.as_ptr().addr();
    let place = |raw: &RawValue| {
        let at = raw.get().as_ptr().addr() - start;
        at..at + raw.get().len()
    };
    Ok(fields.into_iter().map(|(name, raw)| (name, place(raw))).collect())
}

/// Returns the type of a syntactically valid value.
pub(super) fn kind(value: &[u8]) -> Kind {
    match first_byte(value) {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

fn first_byte(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// The memory of the values so far, and why parsing was stopped.
struct Memory {
    limit_bytes: usize,
    bytes: Cell<usize>,
    refusal: Cell<Option<Refusal>>,
}

#[derive(Clone, Copy)]
enum Refusal {
    DuplicateField,
    TooManyValues,
}

impl Memory {
    fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, bytes: Cell::new(0), refusal: Cell::new(None) }
    }

    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        if self.bytes.get() > self.limit_bytes {
            return Err(self.refuse(Refusal::TooManyValues));
        }
        Ok(())
    }

    fn refuse<E: serde::de::Error>(&self, refusal: Refusal) -> E {
        self.refusal.set(Some(refusal));
        E::custom("refused")
    }

    /// Returns the error of a parser that started at an offset of a document.
    fn error(&self, error: &serde_json::Error, document: &[u8], offset: usize) -> RequestError {
        let before = &document[..offset];
        let lines = before.iter().filter(|&&byte| byte == b'\n').count();
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = error.line() + lines;
        let column = match error.line() {
            1 => error.column() + offset - line_start,
            _ => error.column(),
        };
        match self.refusal.get() {
            Some(Refusal::DuplicateField) => RequestError::DuplicateField { line, column },
            Some(Refusal::TooManyValues) => RequestError::TooManyValues { line, column },
            None => {
                // The parser's messages for bad syntax are fixed: they never quote the input.
                let text = error.to_string();
                let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
                RequestError::InvalidJson { reason, line, column }
            }
        }
    }
}

/// Reads any value.
struct ValueSeed<'a>(&'a Memory);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.take(STRING_BYTES + value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(ValueSeed(self.0))? {
            self.0.take(ITEM_BYTES)?;
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.0.take(if object.is_empty() { OBJECT_BYTES } else { FIELD_BYTES })?;
            self.0.take(STRING_BYTES + name.len())?;
            if object.contains_key(&name) {
                return Err(self.0.refuse(Refusal::DuplicateField));
            }
            object.insert(name, fields.next_value_seed(ValueSeed(self.0))?);
        }
        Ok(Value::Object(object))
    }
}

/// Reads the fields of an object, and leaves their values as they are.
struct FieldsSeed<'a>(&'a Memory);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = BTreeMap<String, &'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.0.refuse(Refusal::DuplicateField));
            }
            if object.len() == MAX_FIELDS {
                return Err(self.0.refuse(Refusal::TooManyValues));
            }
            object.insert(name, fields.next_value()?);
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(document: &[u8]) -> Result<Vec<(String, Value)>, RequestError> {
        let fields = parse_fields(document, 0..document.len())?;
        let parse = |(name, part)| Ok((name, parse_part(document, part)?));
        fields.into_iter().map(parse).collect()
    }

    #[test]
    fn a_value_is_that_of_the_library() {
        let document = br#" {"a": [1, -2, 2.5e3, 18446744073709551615, "\u00e9\n", null, true, {}],
            "b": {"c": {"d": []}}, "": 0} "#;
        let expected: Value = serde_json::from_slice(document).unwrap();
        assert_eq!(parse_json(document).unwrap(), expected);
        let found: Map<String, Value> = fields(document).unwrap().into_iter().collect();
        assert_eq!(Value::Object(found), expected);
    }

    #[test]
    fn a_repeated_field_is_refused_wherever_it_is_read() {
        let at = |line, column| Err(RequestError::DuplicateField { line, column });
        assert_eq!(parse_json(br#"{"a": 1, "a": 2}"#).map(drop), at(1, 12));
        assert_eq!(fields(br#"{"a": 1, "\u0061": 2}"#).map(drop), at(1, 17));
        assert_eq!(fields(b"{\"x\": 1,\n\"a\": {\"b\": 1, \"b\": 2}}").map(drop), at(2, 17));
    }

    #[test]
    fn an_error_has_its_position_in_the_document() {
        let text = |document| fields(document).unwrap_err().to_string();
        let whole = |document| parse_json(document).unwrap_err().to_string();
        for document in [
            b"{\"a\": 1,\n \"b\": \"\\x\"}".as_slice(),
            b"{\"a\": 1e400}",
            b"{\"a\": 1",
            b"{\"a\": 1} x",
            b"",
            b"[1, 2",
        ] {
            assert_eq!(text(document), whole(document), "{}", document.escape_ascii());
        }
        assert_eq!(text(b" [1] "), "expected a JSON object, found an array");
        assert_eq!(text(b"-1"), "expected a JSON object, found a number");
    }

    #[test]
    fn values_that_need_too_much_memory_are_refused() {
        let many = |item: &str, count| format!("{{\"a\": [{}0]}}", item.repeat(count));
        let refused = |document: String| {
            let error = fields(document.as_bytes()).unwrap_err();
            assert!(matches!(error, RequestError::TooManyValues { .. }), "{error}");
            let error = parse_json(document.as_bytes()).unwrap_err();
            assert!(matches!(error, RequestError::TooManyValues { .. }), "{error}");
        };
        refused(many("{\"\":0},", 1_000_000));
        refused(many("[],", 2_000_000));
        refused(many("0,", 3_000_000));
        let names: Vec<String> = (0..=MAX_FIELDS).map(|name| format!("\"{name}\": 0")).collect();
        let error = fields(format!("{{{}}}", names.join(",")).as_bytes()).unwrap_err();
        assert!(matches!(error, RequestError::TooManyValues { .. }), "{error}");
        // A value that nobody reads has no memory.
        let document = format!("{{\"a\": [{}0], \"b\": 1}}", "{\"\":0},".repeat(1_000_000));
        let places = parse_fields(document.as_bytes(), 0..document.len()).unwrap();
        assert_eq!(parse_part(document.as_bytes(), places["b"].clone()).unwrap(), json!(1));
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        let cases = [
            (r#""great \ud83d""#, "great \u{fffd}"),
            (r#""\uDE00 great""#, "\u{fffd} great"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d\ud83d\ude00\ude00""#, "\u{fffd}\u{1f600}\u{fffd}"),
            (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\"\ud83d\"""#, "\"\u{fffd}\""),
            ("\u{feff}\"a\"", "a"),
        ];
        for (written, expected) in cases {
            assert_eq!(parse_json(written.as_bytes()).unwrap(), json!(expected), "{written}");
        }
    }

    #[test]
    fn other_errors_stay_errors() {
        for written in
            [r#""\ud8""#, r#""\ud83d"#, r#""\"#, r#""\x""#, "\u{feff}", "\u{feff}\u{feff}1"]
        {
            assert!(parse_json(written.as_bytes()).is_err(), "{written}");
        }
    }

    proptest! {
        #[test]
        fn code_units_are_read_as_by_javascript(units in proptest::collection::vec(any::<u16>(), 0..20)) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let read = parse_json(format!("\"{escapes}\"").as_bytes()).unwrap();
            prop_assert_eq!(read, json!(String::from_utf16_lossy(&units)));
        }

        #[test]
        fn bytes_without_backslashes_are_unchanged(bytes in proptest::collection::vec(0x20u8..0x5c, 0..50)) {
            prop_assert_eq!(&*readable_json(&bytes), &bytes[..]);
        }
    }
}
