//! The number formats of an embedding, which several dialects share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Choices;
use crate::operation::Purpose;

/// Encoding of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EncodingFormat {
    /// An array of numbers.
    Float,
    /// Base64 of the little-endian f32 values.
    Base64,
}

impl Choices for EncodingFormat {
    const VALUES: &'static [(&'static str, Self)] =
        &[("float", Self::Float), ("base64", Self::Base64)];
    const EXPECTED: &'static str = "\"float\" or \"base64\"";
}

/// Number format of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberFormat {
    /// f32.
    Float,
    /// Base64 of the little-endian f32 values.
    Base64,
    /// `Uint8` minus 128.
    Int8,
    /// The level of each value, from 0 to 255: the range from -1 to 1 is divided into 255 steps, and a
    /// value is rounded down.
    ///
    /// Source: `quantize_embeddings` of sentence-transformers 6.2, with -1 and 1 as `ranges`. Rows have
    /// unit length, so no value is outside of this range, and it needs no calibration. Cohere and Voyage
    /// do not publish theirs.
    Uint8,
    /// `Ubinary` minus 128.
    Binary,
    /// One bit per dimension, 1 for a positive value, the first one in the highest bit.
    Ubinary,
}

impl Choices for NumberFormat {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("float", Self::Float),
        ("base64", Self::Base64),
        ("int8", Self::Int8),
        ("uint8", Self::Uint8),
        ("binary", Self::Binary),
        ("ubinary", Self::Ubinary),
    ];
    const EXPECTED: &'static str =
        "\"float\", \"base64\", \"int8\", \"uint8\", \"binary\" or \"ubinary\"";
    const UNSUPPORTED: &'static [&'static str] = &["fp16", "float16", "bfloat16"];
}

impl NumberFormat {
    /// Its name in Cohere's responses.
    pub(super) fn name(self) -> &'static str {
        Self::VALUES.iter().find(|(_, value)| *value == self).map_or("float", |(name, _)| name)
    }

    /// Whether it is defined only for rows of unit length.
    pub(super) fn needs_unit_length(self) -> bool {
        matches!(self, Self::Int8 | Self::Uint8)
    }

    /// Returns an embedding `[dim]`, f32, in this format.
    pub(super) fn value(self, row: &[f32]) -> EmbeddingValue {
        match (self, self.integers(row)) {
            (_, Some(integers)) => EmbeddingValue::Integers(integers),
            (Self::Base64, None) => self.base64(row),
            (_, None) => EmbeddingValue::Float(row.to_vec()),
        }
    }

    /// Returns the bytes of an embedding `[dim]`, f32, in this format, as base64: little-endian f32
    /// values, or one byte for each integer.
    pub(super) fn base64(self, row: &[f32]) -> EmbeddingValue {
        let bytes: Vec<u8> = match self.integers(row) {
            // The lowest byte is the two's complement of a negative integer.
            Some(integers) => integers.iter().map(|integer| integer.to_le_bytes()[0]).collect(),
            None => row.iter().flat_map(|number| number.to_le_bytes()).collect(),
        };
        EmbeddingValue::Base64(STANDARD.encode(bytes))
    }

    /// Returns the integers of an embedding; `None` for a format of f32 values.
    fn integers(self, row: &[f32]) -> Option<Vec<i16>> {
        let (bytes, offset) = match self {
            Self::Float | Self::Base64 => return None,
            Self::Int8 => (levels(row), 128),
            Self::Uint8 => (levels(row), 0),
            Self::Binary => (bits(row), 128),
            Self::Ubinary => (bits(row), 0),
        };
        Some(bytes.into_iter().map(|byte| i16::from(byte) - offset).collect())
    }
}

/// Returns the level of each value of an embedding of unit length, as `Uint8` describes it.
fn levels(row: &[f32]) -> Vec<u8> {
    const STEP: f64 = 2.0 / 255.0;
    let level = |value: &f32| ((f64::from(*value) + 1.0) / STEP).floor().clamp(0.0, 255.0) as u8;
    row.iter().map(level).collect()
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
    /// The bytes of the values, in base64.
    Base64(String),
    /// Levels, one for each dimension, or signs, 8 dimensions to an integer.
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
        let base64 = |format: NumberFormat| serde_json::to_value(format.base64(&row)).unwrap();
        assert_eq!(base64(NumberFormat::Ubinary), "kYA=");
        assert_eq!(base64(NumberFormat::Binary), "EQA=");
    }

    #[test]
    fn levels_are_those_of_sentence_transformers() {
        // quantize_embeddings(row, "uint8", ranges=[[-1.0] * 7, [1.0] * 7])
        let row = [-1.0, -0.5, -0.004, 0.0, 0.004, 0.5, 1.0];
        let levels = [0, 63, 126, 127, 128, 191, 255];
        let value = |format: NumberFormat| format.value(&row);
        assert_eq!(value(NumberFormat::Uint8), EmbeddingValue::Integers(levels.to_vec()));
        let signed = levels.iter().map(|level| level - 128).collect();
        assert_eq!(value(NumberFormat::Int8), EmbeddingValue::Integers(signed));
        let base64 = |format: NumberFormat| serde_json::to_value(format.base64(&row)).unwrap();
        assert_eq!(base64(NumberFormat::Int8), "gL/+/wA/fw==");
    }
}
