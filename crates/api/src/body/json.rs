//! Bytes to JSON values.

use serde_json::Value;

use crate::request::RequestError;

/// Returns the JSON value in these bytes.
///
/// # Errors
/// - [`RequestError::InvalidJson`] if they are not JSON in UTF-8, nest more than 128 levels deep, or
///   contain a lone surrogate or a number beyond f64.
pub fn parse_json(bytes: &[u8]) -> Result<Value, RequestError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The parser's messages for bad syntax are fixed: they never quote the input.
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
        RequestError::InvalidJson { reason, line: error.line(), column: error.column() }
    })
}
