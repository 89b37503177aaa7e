//! The dialect of Cohere's rerank.
//!
//! Source: <https://docs.cohere.com/v1/reference/rerank> and `v2/rerank`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::decode::{Fields, check_count, text, wrong_type};
use super::{Cut, Limits, RequestError, RerankRequest, Reranked, Scorer, Texts};
use crate::text::Side;
use crate::vector::rank;

/// Documents of one search unit.
///
/// Source: Cohere's pricing, "a single search unit is a query with up to 100 documents".
const DOCUMENTS_PER_SEARCH_UNIT: usize = 100;

/// The texts that are worth most to a query.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RerankResponse {
    /// Best first.
    pub results: Vec<RerankResult>,
    /// What it took.
    pub meta: RerankMeta,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RerankResult {
    /// Index of the text in the request.
    pub index: usize,
    /// Its score.
    pub relevance_score: f32,
    /// The text, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Document {
    /// As it came.
    pub text: String,
}

/// What an answer took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RerankMeta {
    /// The version of the dialect.
    pub api_version: ApiVersion,
    /// What Cohere would charge.
    pub billed_units: BilledUnits,
    /// What scored the texts.
    pub scored_by: Scorer,
}

/// The version of a dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiVersion {
    /// `1`.
    pub version: &'static str,
}

/// What a request counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BilledUnits {
    /// One for each 100 texts begun.
    pub search_units: usize,
}

pub(super) fn rerank(fields: &mut Fields, limits: &Limits) -> Result<RerankRequest, RequestError> {
    Ok(RerankRequest {
        query: fields.text("query", limits)?,
        texts: documents(fields, limits)?,
        cut: Cut::At(Side::Right),
        raw_scores: false,
        top_n: fields.count("top_n")?,
        return_texts: fields.flag("return_documents")?.unwrap_or(false),
    })
}

/// The documents: each a text, or an object with a text.
fn documents(fields: &mut Fields, limits: &Limits) -> Result<Texts, RequestError> {
    let field = fields.field("documents");
    let items = match fields.required("documents")? {
        Value::Array(items) => items,
        other => return Err(wrong_type(field, "an array of strings or of objects", &other)),
    };
    if items.is_empty() {
        return Err(RequestError::NoTexts { field });
    }
    check_count(items.len(), field, limits)?;
    let item = |(index, item)| match item {
        Value::Object(mut document) => {
            let field = field.at(index).part(".text");
            let value = document.remove("text").ok_or(RequestError::MissingField { field })?;
            text(value, field, limits)
        }
        other => text(other, field.at(index), limits),
    };
    let texts = items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?;
    Ok(Texts::list(field, texts))
}

pub(super) fn response(request: &RerankRequest, reranked: &Reranked) -> RerankResponse {
    let texts = request.texts.as_slice();
    let best = rank(&reranked.scores, request.top_n.unwrap_or(usize::MAX)).into_iter();
    let result = |index: usize| RerankResult {
        index,
        relevance_score: reranked.scores[index],
        document: request.return_texts.then(|| Document { text: texts[index].clone() }),
    };
    RerankResponse {
        results: best.map(result).collect(),
        meta: RerankMeta {
            api_version: ApiVersion { version: "1" },
            billed_units: BilledUnits {
                search_units: texts.len().div_ceil(DOCUMENTS_PER_SEARCH_UNIT),
            },
            scored_by: reranked.scored_by,
        },
    }
}
