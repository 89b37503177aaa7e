//! The dialect of Cohere's rerank.
//!
//! Source: <https://docs.cohere.com/v1/reference/rerank> and `v2/rerank`.

use axum::http::Method;
use semblance::{PairOptions, Scores, Truncation, rank};
use serde::Serialize;
use serde_json::Error;
use utoipa::ToSchema;

use super::{Route, RouteSchema, openai};
use crate::Limits;
use crate::body::{Body as _, Count, Documents, Fields, Flag, Text, Unread, body};
use crate::operation::{Call, Reply, RerankRequest, scorer_name};
use crate::request::RequestError;
use crate::service::Service;

/// Number of documents in one search unit.
///
/// Source: Cohere's pricing, "a single search unit is a query with up to 100 documents".
const DOCUMENTS_PER_SEARCH_UNIT: usize = 100;

pub(super) const ROUTES: &[Route] = &[rerank_route("/v1/rerank"), rerank_route("/v2/rerank")];

const fn rerank_route(path: &'static str) -> Route {
    Route {
        method: Method::POST,
        path,
        summary: "Rank texts by their relevance to a query",
        decode: rerank,
        // Cohere's clients read only the status.
        errors: &openai::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<RerankResponse>();
            RouteSchema::post(schemas.body::<CohereRerankBody>(), reply).with_scorer()
        },
    }
}

body! {
    /// Texts to rank by their relevance to a query. A pair beyond the model's limit is truncated.
    CohereRerankBody = {
        "model": "any",
        "query": "How many people live in London?",
        "documents": ["Around 9 million", {"text": "It has a river"}]
    } {
        query: Text,
        documents: Documents,
        /// Number of texts to return, best first; all if absent.
        top_n: Count,
        /// Whether the response contains the texts.
        return_documents: Flag,
        /// Ignored; the service has one model.
        model: Unread,
    }
}

pub(super) fn rerank(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let body = CohereRerankBody::decode(fields, limits)?;
    let request = RerankRequest {
        query: body.query.0,
        texts: body.documents.0,
        options: PairOptions { truncation: Truncation::Right, raw_scores: false },
        top_n: body.top_n.0,
        return_texts: body.return_documents.0.unwrap_or(false),
    };
    Ok(Call::new(request, response))
}

/// The texts that are most relevant to a query.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct RerankResponse {
    /// The ranked texts, best first.
    results: Vec<RerankResult>,
    /// The cost of the request.
    meta: RerankMeta,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct RerankResult {
    /// Index of the text in the request.
    index: usize,
    /// Its score.
    relevance_score: f32,
    /// The text, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Document {
    /// The text of the request, unchanged.
    text: String,
}

/// The cost of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct RerankMeta {
    /// The version of the dialect.
    api_version: ApiVersion,
    /// The units that Cohere would bill.
    billed_units: BilledUnits,
    /// The kind of model that scored the texts.
    scored_by: &'static str,
}

/// The version of a dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct ApiVersion {
    /// `1`.
    version: &'static str,
}

/// Billed units of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct BilledUnits {
    /// Number of texts divided by 100, rounded up.
    search_units: usize,
}

fn response(request: &RerankRequest, scores: Scores, _: &Service) -> Result<Reply, Error> {
    let texts = request.texts.as_slice();
    let result = |index: usize| RerankResult {
        index,
        relevance_score: scores.scores[index],
        document: request.return_texts.then(|| Document { text: texts[index].clone() }),
    };
    let best = rank(&scores.scores, request.top_n.unwrap_or(usize::MAX));
    let response = RerankResponse {
        results: best.into_iter().map(result).collect(),
        meta: RerankMeta {
            api_version: ApiVersion { version: "1" },
            billed_units: BilledUnits {
                search_units: texts.len().div_ceil(DOCUMENTS_PER_SEARCH_UNIT),
            },
            scored_by: scorer_name(scores.scored_by),
        },
    };
    Reply::new(&response, response.results.len())
}
