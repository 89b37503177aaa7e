//! JSON within a limit on its size.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::ApiError;

/// Collects JSON up to a limit. Beyond the limit, it frees what it has and only counts, so that memory is
/// bounded and the error can state the size.
struct LimitedJson {
    json: Vec<u8>,
    bytes: usize,
    limit_bytes: usize,
}

impl Write for LimitedJson {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.bytes += part.len();
        if self.bytes <= self.limit_bytes {
            self.json.extend_from_slice(part);
        } else {
            self.json = Vec::new();
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serializes a response with this number of items.
///
/// # Errors
/// - [`ApiError::ReplyTooLarge`] if it has more than `limit_bytes` bytes.
/// - [`ApiError::Write`] if it cannot be serialized.
pub(super) fn limited_json(
    body: &impl Serialize,
    items: usize,
    limit_bytes: usize,
) -> Result<Box<RawValue>, ApiError> {
    let mut out = LimitedJson { json: Vec::new(), bytes: 0, limit_bytes };
    serde_json::to_writer(&mut out, body).map_err(ApiError::Write)?;
    if out.bytes > limit_bytes {
        return Err(ApiError::reply_too_large(out.bytes, limit_bytes, items));
    }
    // The serializer writes UTF-8.
    let json = String::from_utf8(out.json).map_err(|_| ApiError::Panic)?;
    RawValue::from_string(json).map_err(ApiError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_beyond_the_limit_is_counted_and_not_kept() {
        let body = vec!["text"; 100];
        let json = serde_json::to_string(&body).unwrap();
        assert_eq!(limited_json(&body, 100, json.len()).unwrap().get(), json);
        let error = limited_json(&body, 100, json.len() / 2).unwrap_err();
        let ApiError::ReplyTooLarge { bytes, limit_bytes, items, fit } = error else {
            panic!("{error}")
        };
        assert_eq!((bytes, limit_bytes, items, fit), (json.len(), json.len() / 2, 100, 49));
        let mut out = LimitedJson { json: Vec::new(), bytes: 0, limit_bytes: 1_000 };
        for _ in 0..1_000_000 {
            out.write_all(b"0123456789").unwrap();
            assert!(out.json.capacity() <= 2_000);
        }
        assert_eq!(out.bytes, 10_000_000);
    }
}
