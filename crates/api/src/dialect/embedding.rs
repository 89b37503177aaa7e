//! The number formats of an embedding, which several dialects share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Choices;
use crate::operation::Purpose;

/// Number format of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberFormat {
    /// f32.
    Float,
    /// Base64 of the little-endian f32 values.
    Base64,
    /// One bit per dimension, 1 for a positive value, the first one in the highest bit; each byte is
    /// a signed integer, the unsigned one minus 128.
    Binary,
    /// As `Binary`, with unsigned integers.
    Ubinary,
}

impl Choices for NumberFormat {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("float", Self::Float),
        ("base64", Self::Base64),
        ("binary", Self::Binary),
        ("ubinary", Self::Ubinary),
    ];
    const EXPECTED: &'static str = "\"float\", \"base64\", \"binary\" or \"ubinary\"";
    // Their scale is that of the provider's model.
    const UNSUPPORTED: &'static [&'static str] = &["int8", "uint8", "fp16", "float16", "bfloat16"];
}

impl NumberFormat {
    /// Its name in Cohere's responses.
    pub(super) fn name(self) -> &'static str {
        Self::VALUES.iter().find(|(_, value)| *value == self).map_or("float", |(name, _)| name)
    }

    /// Returns an embedding `[dim]`, f32, in this format.
    pub(super) fn value(self, row: &[f32]) -> EmbeddingValue {
        match self {
            Self::Float => EmbeddingValue::Float(row.to_vec()),
            Self::Base64 => {
                let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
                EmbeddingValue::Base64(STANDARD.encode(bytes))
            }
            Self::Binary => {
                let bytes = bits(row).into_iter();
                EmbeddingValue::Integers(bytes.map(|byte| i16::from(byte) - 128).collect())
            }
            Self::Ubinary => {
                EmbeddingValue::Integers(bits(row).into_iter().map(i16::from).collect())
            }
        }
    }
}

/// Returns the signs of an embedding, 8 to a byte, the first in the highest bit.
fn bits(row: &[f32]) -> Vec<u8> {
    let byte = |eight: &[f32]| {
        let bits = eight.iter().enumerate().filter(|(_, value)| **value > 0.0);
        bits.fold(0, |byte, (place, _)| byte | 0x80 >> place)
    };
    row.chunks(8).map(byte).collect()
}

/// An embedding, `[dim]`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum EmbeddingValue {
    /// The values.
    Float(Vec<f32>),
    /// The little-endian values, in base64.
    Base64(String),
    /// The signs, 8 dimensions to an integer.
    Integers(Vec<i16>),
}

impl Choices for Purpose {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("query", Self::Query),
        ("document", Self::Document),
        ("passage", Self::Document),
        ("search_query", Self::Query),
        ("search_document", Self::Document),
        ("retrieval.query", Self::Query),
        ("retrieval.passage", Self::Document),
        ("classification", Self::Task("classification")),
        ("clustering", Self::Task("clustering")),
        ("separation", Self::Task("separation")),
        ("text-matching", Self::Task("text-matching")),
    ];
    const EXPECTED: &'static str = "\"query\", \"document\", \"passage\", \"search_query\", \
                                    \"search_document\", \"retrieval.query\", \
                                    \"retrieval.passage\", \"classification\", \"clustering\", \
                                    \"separation\" or \"text-matching\"";
    const UNSUPPORTED: &'static [&'static str] = &["image", "code.query", "code.passage"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_packed_with_the_first_in_the_highest_bit() {
        let row = [1.0, -1.0, 0.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0];
        let integers = |format: NumberFormat| serde_json::to_value(format.value(&row)).unwrap();
        assert_eq!(integers(NumberFormat::Ubinary), serde_json::json!([0b1001_0001, 0b1000_0000]));
        assert_eq!(integers(NumberFormat::Binary), serde_json::json!([17, 0]));
    }
}
