//! Values of metadata.

use std::cmp::Ordering;

/// A value of metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value. A missing column counts as null.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A finite number that is not an integer of 64 bits.
    Number(f64),
    /// A string.
    Text(String),
}

/// A value in a mapped file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ValueRef<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(&'a str),
}

impl Value {
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(value) => ValueRef::Boolean(*value),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Number(value) => ValueRef::Number(*value),
            Self::Text(value) => ValueRef::Text(value),
        }
    }
}

impl<'a> ValueRef<'a> {
    pub(crate) fn to_owned(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Boolean(value),
            Self::Integer(value) => Value::Integer(value),
            Self::Number(value) => Value::Number(value),
            Self::Text(value) => Value::Text(value.to_owned()),
        }
    }

    /// Compares two values of one kind; none for values of different kinds. Integers and other numbers
    /// are one kind.
    pub(crate) fn compare(self, other: ValueRef<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, ValueRef::Null) => Some(Ordering::Equal),
            (Self::Boolean(a), ValueRef::Boolean(b)) => Some(a.cmp(&b)),
            (Self::Integer(a), ValueRef::Integer(b)) => Some(a.cmp(&b)),
            (Self::Number(a), ValueRef::Number(b)) => a.partial_cmp(&b),
            (Self::Integer(a), ValueRef::Number(b)) => integer_with_number(a, b),
            (Self::Number(a), ValueRef::Integer(b)) => {
                integer_with_number(b, a).map(Ordering::reverse)
            }
            (Self::Text(a), ValueRef::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Appends a tag and the value.
    pub(crate) fn encode(self, to: &mut Vec<u8>) {
        match self {
            Self::Null => to.push(b'n'),
            Self::Boolean(value) => to.push(if value { b't' } else { b'f' }),
            Self::Integer(value) => {
                to.push(b'i');
                to.extend(value.to_le_bytes());
            }
            Self::Number(value) => {
                to.push(b'd');
                to.extend(value.to_le_bytes());
            }
            Self::Text(value) => {
                to.push(b's');
                to.extend(value.as_bytes());
            }
        }
    }

    /// Returns the value that [`encode`](Self::encode) wrote, or none if the bytes are not one.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match (tag, rest.len()) {
            (b'n', 0) => Some(Self::Null),
            (b't', 0) => Some(Self::Boolean(true)),
            (b'f', 0) => Some(Self::Boolean(false)),
            (b'i', 8) => Some(Self::Integer(i64::from_le_bytes(rest.try_into().ok()?))),
            (b'd', 8) => {
                let number = f64::from_le_bytes(rest.try_into().ok()?);
                number.is_finite().then_some(Self::Number(number))
            }
            (b's', _) => std::str::from_utf8(rest).ok().map(Self::Text),
            _ => None,
        }
    }
}

/// Compares exactly, also where a number has no room for the digits of the integer.
fn integer_with_number(integer: i64, number: f64) -> Option<Ordering> {
    // 2^63: the first number beyond the integers.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number >= LIMIT {
        return Some(Ordering::Less);
    }
    if number < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = number.trunc();
    let fraction = 0.0.partial_cmp(&(number - whole))?;
    Some(integer.cmp(&(whole as i64)).then(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_numbers_compare_exactly() {
        let compare = |a, b| ValueRef::compare(a, b).unwrap();
        let (int, num) = (ValueRef::Integer, ValueRef::Number);
        assert_eq!(compare(int(1), num(1.0)), Ordering::Equal);
        assert_eq!(compare(int(1), num(1.5)), Ordering::Less);
        assert_eq!(compare(int(-1), num(-1.5)), Ordering::Greater);
        assert_eq!(
            compare(int(9_007_199_254_740_993), num(9_007_199_254_740_992.0)),
            Ordering::Greater
        );
        assert_eq!(compare(num(1e300), int(i64::MAX)), Ordering::Greater);
        assert_eq!(compare(num(-1e300), int(i64::MIN)), Ordering::Less);
        assert_eq!(compare(int(i64::MAX), num(9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(int(1).compare(ValueRef::Text("1")), None);
        assert_eq!(ValueRef::Boolean(true).compare(int(1)), None);
    }

    #[test]
    fn a_value_survives_its_encoding() {
        let values = [
            Value::Null,
            Value::Boolean(true),
            Value::Boolean(false),
            Value::Integer(-7),
            Value::Number(0.25),
            Value::Text(String::new()),
            Value::Text("Zürich".to_owned()),
        ];
        for value in values {
            let mut bytes = Vec::new();
            value.as_ref().encode(&mut bytes);
            assert_eq!(ValueRef::decode(&bytes).unwrap().to_owned(), value);
        }
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        let nan = [&b"d"[..], &f64::NAN.to_le_bytes()].concat();
        for bytes in [&b""[..], b"x", b"t1", b"i123", b"s\xff", &nan] {
            assert_eq!(ValueRef::decode(bytes), None, "{bytes:?}");
        }
    }
}
