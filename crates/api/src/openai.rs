//! The dialect of OpenAI's embeddings.
//!
//! Source: <https://platform.openai.com/docs/api-reference/embeddings>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::decode::Fields;
use super::{Cut, EmbedRequest, Embedded, Limits, RequestError};
use crate::text::Side;

/// How an embedding is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodingFormat {
    /// As an array of numbers.
    Float,
    /// As base64 of its f32 in little-endian order.
    Base64,
}

/// A list of embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EmbeddingList {
    /// `list`.
    pub object: &'static str,
    /// One embedding a text, in input order.
    pub data: Vec<EmbeddingItem>,
    /// Name of the model that gave them, whichever was asked for.
    pub model: String,
    /// What was read.
    pub usage: TokenUsage,
}

/// One embedding.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EmbeddingItem {
    /// `embedding`.
    pub object: &'static str,
    /// Index of the text in the request.
    pub index: usize,
    /// The embedding.
    pub embedding: EmbeddingValue,
}

/// An embedding, `[dim]`, f32.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EmbeddingValue {
    /// Its numbers.
    Float(Vec<f32>),
    /// Its numbers in little-endian order, in base64.
    Base64(String),
}

/// Tokens that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenUsage {
    /// Tokens of all texts, special tokens counted, cut ones not.
    pub prompt_tokens: usize,
    /// The same: nothing is generated.
    pub total_tokens: usize,
}

/// The models of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<ModelItem>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelItem {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// Always 0: a bundle has a digest, and no date.
    pub created: u64,
    /// `semblance`.
    pub owned_by: &'static str,
}

impl ModelList {
    /// Returns the list of models of these names.
    #[must_use]
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let item = |id: &str| ModelItem {
            id: id.to_owned(),
            object: "model",
            created: 0,
            owned_by: "semblance",
        };
        Self { object: "list", data: names.into_iter().map(item).collect() }
    }
}

pub(super) fn embed(
    fields: &mut Fields,
    limits: &Limits,
) -> Result<(EmbedRequest, EncodingFormat), RequestError> {
    let is_tokens = |value: &Value| match value {
        Value::Array(items) => matches!(items.first(), Some(Value::Number(_) | Value::Array(_))),
        _ => false,
    };
    if fields.holds("input", is_tokens) {
        let expected = "a string or an array of strings: token ids belong to the vocabulary of \
                        another model (with langchain, check_embedding_ctx_length=False)";
        let field = fields.field("input");
        return Err(RequestError::UnknownValue { field, expected: expected.into() });
    }
    let request = EmbedRequest {
        texts: fields.text_or_texts("input", limits)?,
        cut: Cut::At(Side::Right),
        prompt_name: None,
        normalize: None,
        dimensions: fields.count("dimensions")?,
    };
    let field = fields.field("encoding_format");
    let format = match fields.name("encoding_format")?.as_deref() {
        None | Some("float") => EncodingFormat::Float,
        Some("base64") => EncodingFormat::Base64,
        Some(_) => {
            let expected = "\"float\" or \"base64\"".into();
            return Err(RequestError::UnknownValue { field, expected });
        }
    };
    Ok((request, format))
}

pub(super) fn embeddings(
    embedded: &Embedded,
    format: EncodingFormat,
    model: &str,
    prompt_tokens: usize,
) -> EmbeddingList {
    let value = |row: Vec<f32>| match format {
        EncodingFormat::Float => EmbeddingValue::Float(row),
        EncodingFormat::Base64 => {
            let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
            EmbeddingValue::Base64(STANDARD.encode(bytes))
        }
    };
    let rows = embedded.vectors.outer_iter().enumerate();
    EmbeddingList {
        object: "list",
        data: rows
            .map(|(index, row)| EmbeddingItem {
                object: "embedding",
                index,
                embedding: value(row.to_vec()),
            })
            .collect(),
        model: model.to_owned(),
        usage: TokenUsage { prompt_tokens, total_tokens: prompt_tokens },
    }
}
