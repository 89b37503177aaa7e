//! Bytes to JSON values.

use std::borrow::Cow;

use serde_json::Value;

use crate::request::RequestError;

/// The byte order mark in UTF-8. A parser may ignore it (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the JSON value in these bytes. A byte order mark is ignored, and a lone surrogate becomes
/// U+FFFD; see [`readable_json`].
///
/// # Errors
/// - [`RequestError::InvalidJson`] if they are not JSON in UTF-8, nest more than 128 levels deep, or
///   contain a number beyond f64.
pub fn parse_json(bytes: &[u8]) -> Result<Value, RequestError> {
    serde_json::from_slice(&readable_json(bytes)).map_err(|error| {
        // The parser's messages for bad syntax are fixed: they never quote the input.
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
        RequestError::InvalidJson { reason, line: error.line(), column: error.column() }
    })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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
