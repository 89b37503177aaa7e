//! Comparison of JSON with a tolerance for rounding.

use serde_json::Value;

/// Largest difference of a number between two replies. Texts that share a forward pass with others
/// are rounded differently.
const TOLERANCE: f64 = 1e-6;

/// Asserts that two replies are equal, fractions within a tolerance.
///
/// # Panics
/// If they differ.
#[track_caller]
pub fn assert_close(found: &Value, expected: &Value) {
    assert!(is_close(found, expected), "found {found}\nexpected {expected}");
}

fn is_close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= TOLERANCE
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_close(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_close(a, b)))
        }
        (a, b) => a == b,
    }
}
