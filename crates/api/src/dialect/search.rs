//! The search of an index: the event `{"operation": "search"}` and the route `/search`.

use std::collections::BTreeMap;

use axum::http::Method;
use semblance::corpus::Value as Metadata;
use serde::Serialize;
use serde_json::{Error, Value};
use utoipa::ToSchema;

use super::{Route, RouteSchema, tei};
use crate::Limits;
use crate::body::{
    Body as _, Choice, Count, Direction, Fields, FilterField, Flag, IndexName, Input, OnError,
    Optional, PromptName, Vectors, body, truncation,
};
use crate::operation::{Call, ItemError, Queries, QueryHits, Reply, SearchRequest, SearchResult};
use crate::request::{Field, RequestError, metadata_to_json};
use crate::service::Service;

/// Number of rows of a query by default.
const TOP_K: usize = 10;

/// Maximum number of rows of a query.
const MAX_TOP_K: usize = 1_000;

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::POST,
    path: "/search",
    summary: "Search an index",
    decode: search,
    errors: &tei::ERRORS,
    schema: |schemas| {
        let reply = schemas.reply::<SearchReply>();
        RouteSchema::post(schemas.body::<SearchBody>(), reply).with_missing()
    },
}];

body! {
    /// A search of an index. It has either `query` or `vectors`.
    pub(super) SearchBody = {
        "index": "docs", "query": "How do I reset my password?", "top_k": 3,
        "filter": {"product": "app", "year": {"$gte": 2024}}
    } {
        /// Name of the index, below the folder of indexes.
        index: IndexName,
        /// A query, or a list of queries, which share one scan.
        query: Optional<Input>,
        /// Query vectors. They are normalized.
        vectors: Vectors,
        /// Number of rows to return for each query: 10 by default, at most 1,000.
        top_k: Count,
        /// Conditions on metadata: values, or `$eq`, `$ne`, `$in`, `$nin`, `$lt`, `$lte`, `$gt`, `$gte`
        /// and `$exists`; combined with `$and`, `$or` and `$not`.
        filter: FilterField,
        /// Whether the search must be exact. By default it is up to 50,000 rows.
        exact: Flag,
        /// Number of rows of each query that the cross-encoder orders.
        rerank: Count,
        /// Name of the model's prompt to put before each query. Absent: the model's prompt for a query.
        /// Null: no prompt.
        prompt_name: PromptName,
        /// Whether to truncate a query beyond the model's limit (default). Otherwise it is an error.
        truncate: Flag,
        /// The side of a query from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// What to do with an invalid query of a list: `error` refuses the request (default); `null`
        /// searches for the others.
        on_error: Choice<OnError>,
    }
}

/// Decodes a search.
pub(super) fn search(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let body = SearchBody::decode(fields, limits)?;
    let queries = match (body.query.0, body.vectors.0) {
        (Some(input), None) => Queries::Texts(input.0),
        (None, Some(vectors)) if !vectors.is_empty() => Queries::Vectors(vectors),
        _ => {
            let expected = "either query or vectors, with at least one of them";
            return Err(RequestError::WrongFields { expected });
        }
    };
    let request = SearchRequest {
        index: body.index.0,
        queries,
        top_k: at_most(body.top_k, "top_k")?.unwrap_or(TOP_K),
        filter: body.filter.0,
        exact: body.exact.0.unwrap_or(false),
        rerank: at_most(body.rerank, "rerank")?,
        truncation: truncation(&body.truncate, &body.truncation_direction, true),
        prompt_name: body.prompt_name,
    };
    Ok(Call::new(request.check()?, response))
}

fn at_most(count: Count, name: &'static str) -> Result<Option<usize>, RequestError> {
    match count.0 {
        Some(count) if count > MAX_TOP_K => Err(RequestError::OutOfRange {
            field: Field::new(name),
            minimum: 1,
            maximum: Some(MAX_TOP_K as u64),
            found: count.to_string(),
        }),
        count => Ok(count),
    }
}

/// The rows nearest to each query.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct SearchReply {
    /// Name of the index.
    index: String,
    /// Digest of the version of the index.
    version: String,
    /// Whether no row can be missing from the results.
    exact: bool,
    /// Number of rows that were searched, after the filter.
    searched: usize,
    /// The rows of each query, best first; null for an invalid query.
    results: Vec<Option<Vec<FoundRow>>>,
    /// The errors of the invalid queries, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// A row that was found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct FoundRow {
    /// Its id.
    id: String,
    /// Its cosine similarity to the query, in [-1, 1].
    score: f32,
    /// The score of the cross-encoder, if it ordered the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank_score: Option<f32>,
    /// Its text.
    text: String,
    /// Its metadata, without nulls.
    #[schema(value_type = Object)]
    metadata: BTreeMap<String, Value>,
}

fn response(request: &SearchRequest, found: SearchResult, _: &Service) -> Result<Reply, Error> {
    let json = |(name, value): (String, Metadata)| (name, metadata_to_json(&value));
    let row = |(hit, rerank_score): (semblance::corpus::Hit, _)| FoundRow {
        id: hit.row.id,
        score: hit.score,
        rerank_score,
        text: hit.row.text,
        metadata: hit.row.metadata.into_iter().map(json).collect(),
    };
    let rows = |hits: QueryHits| hits.into_iter().map(row).collect::<Vec<_>>();
    let results: Vec<_> = found.queries.into_iter().map(|hits| hits.map(rows)).collect();
    let items = results.iter().flatten().map(Vec::len).sum();
    let (index, version) = (request.index.clone(), found.version);
    let (exact, searched, errors) = (found.exact, found.searched, found.errors);
    Reply::new(&SearchReply { index, version, exact, searched, results, errors }, items)
}
