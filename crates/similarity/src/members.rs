//! Selected members of a JSON object, as the text of their values.
//!
//! An event has many members that the function does not use. They are skipped without being decoded or
//! stored, so their number, depth and content make no difference.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object that have one of the given names. The last of several members with
/// the same name counts.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    members: Vec<(&'static str, &'a RawValue)>,
}

impl<'a> Members<'a> {
    /// Returns the members of an object that have one of these names; `None` if the text is not a JSON
    /// object.
    pub(crate) fn parse(json: &'a [u8], names: &'static [&'static str]) -> Option<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let members = deserializer.deserialize_map(Select(names)).ok()?;
        deserializer.end().ok()?;
        Some(Self { members })
    }

    /// As [`Members::parse`], of a value.
    pub(crate) fn of(json: &'a RawValue, names: &'static [&'static str]) -> Option<Self> {
        Self::parse(json.get().as_bytes(), names)
    }

    /// Returns the value of a member. Null counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.member(name).filter(|value| value.get() != "null")
    }

    /// Whether a member exists, even if it is null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// Returns the value of a member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.get(name)?)
    }

    fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(member, _)| *member == name).map(|(_, value)| *value)
    }
}

/// Returns the content of a JSON string; `None` if the value is not a string, or contains a lone
/// surrogate.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => serde_json::from_str(value.get()).ok().map(Cow::Owned),
    }
}

/// Calls a function with each member of an object. Returns whether the text is an object.
pub(crate) fn for_each<'a>(json: &'a RawValue, run: impl FnMut(&str, &'a RawValue)) -> bool {
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    deserializer.deserialize_map(ForEach(run)).is_ok()
}

struct ForEach<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for ForEach<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(AnyName)? {
            (self.0)(&name, map.next_value()?);
        }
        Ok(())
    }
}

/// Reads the members with these names, and skips the others.
struct Select(&'static [&'static str]);

impl<'de> Visitor<'de> for Select {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value()?;
            match members.iter_mut().find(|(member, _)| *member == name) {
                Some(member) => member.1 = value,
                None => members.push((name, value)),
            }
        }
        Ok(members)
    }
}

/// Recognizes a name. It reads bytes, because a name can contain a lone surrogate.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|name| name.as_bytes() == bytes).copied())
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        self.visit_bytes(name.as_bytes())
    }
}

/// Reads a name. A lone surrogate becomes the replacement character.
struct AnyName;

impl<'de> DeserializeSeed<'de> for AnyName {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for AnyName {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "b"];

    fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
        Members::parse(json.as_bytes(), NAMES)?.get(name).map(RawValue::get)
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        assert_eq!(member(r#"{"a": 1, "b": [2, {"a": 3}], "a": 4.50}"#, "a"), Some("4.50"));
        assert_eq!(member(r#"{"a": 1, "a": null}"#, "a"), None);
        assert_eq!(member(r#"{"\u0061": 1}"#, "a"), Some("1"), "an escaped name is the same name");
    }

    #[test]
    fn other_members_make_no_difference() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for other in [deep.as_str(), r#""\ud800""#, "1e999", "{}"] {
            let json = format!(r#"{{"x": {other}, "\udfff": {other}, "b": true}}"#);
            assert_eq!(member(&json, "b"), Some("true"));
        }
    }

    #[test]
    fn what_is_not_an_object_has_no_members() {
        for json in ["", "[]", "1", "{", r#"{"a": }"#, r#"{"a": 1} {}"#, "null", r#""a""#] {
            assert!(Members::parse(json.as_bytes(), NAMES).is_none(), "{json}");
        }
    }

    #[test]
    fn each_member_is_visited() {
        let mut found = Vec::new();
        let json: &RawValue = serde_json::from_str(r#"{"a": 1, "\ud800": [], "a": 2}"#).unwrap();
        assert!(for_each(json, |name, value| found.push((name.to_owned(), value.get()))));
        let names: Vec<_> = found.iter().map(|(_, value)| *value).collect();
        assert_eq!(names, ["1", "[]", "2"]);
        let list: &RawValue = serde_json::from_str("[1]").unwrap();
        assert!(!for_each(list, |_, _| {}));
    }

    #[test]
    fn a_string_is_decoded() {
        let decoded = |json: &str| {
            let value: &RawValue = serde_json::from_str(json).unwrap();
            text(value).map(Cow::into_owned)
        };
        assert_eq!(decoded(r#""a\n\u00e9""#), Some("a\né".to_owned()));
        assert_eq!(decoded(r#""plain""#), Some("plain".to_owned()));
        for json in [r#""\ud800""#, "1", "[\"a\"]", "{}", "true"] {
            assert_eq!(decoded(json), None, "{json}");
        }
    }
}
