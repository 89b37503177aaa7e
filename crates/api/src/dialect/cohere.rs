//! The rerank dialects of Cohere, Jina and Voyage. Their requests and responses differ in a few
//! fields, which do not contradict each other.
//!
//! Sources: <https://docs.cohere.com/v1/reference/rerank> and `v2/rerank`,
//! <https://api.jina.ai/redoc#tag/rerank>, <https://docs.voyageai.com/reference/reranker-api>.

use axum::http::Method;
use semblance::outcome::{Scores, rank};
use semblance::{PairOptions, Truncation};
use serde::Serialize;
use serde_json::{Error, Map, Value};
use utoipa::ToSchema;

use super::{Route, RouteSchema, openai, request_id};
use crate::Limits;
use crate::body::{
    Body as _, Choice, Count, Direction, Documents, Fields, Flag, Names, OnError, PromptName,
    PromptTokens, Text, Truncate, Unread, Unsupported, body, one_of,
};
use crate::operation::{Call, ItemError, Listed, Reply, RerankRequest, scorer_name};
use crate::request::RequestError;
use crate::service::Service;

/// Number of documents in one search unit.
///
/// Source: Cohere's pricing, "a single search unit is a query with up to 100 documents".
const DOCUMENTS_PER_SEARCH_UNIT: usize = 100;

pub(super) const ROUTES: &[Route] = &[
    rerank_route("/v1/rerank", rerank),
    rerank_route("/v2/rerank", |fields, limits| rerank_version(fields, limits, "2")),
];

const fn rerank_route(
    path: &'static str,
    decode: fn(&mut Fields, &Limits) -> Result<Call, RequestError>,
) -> Route {
    Route {
        method: Method::POST,
        path,
        summary: "Rank texts by their relevance to a query",
        decode,
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
    pub(super) CohereRerankBody = {
        "model": "any",
        "query": "How many people live in London?",
        "documents": ["Around 9 million", {"text": "It has a river"}]
    } {
        query: Text,
        documents: Documents,
        /// Number of texts to return, best first; all if absent.
        top_n: Count,
        /// The same as `top_n`, in Voyage's API. With `top_k` or `truncation`, the response has
        /// Voyage's form.
        top_k: Count,
        /// Whether the response contains the texts.
        return_documents: Flag,
        /// The same as `return_documents`, in the API of text-embeddings-inference.
        return_text: Flag,
        /// Names of the fields of a document that form its text, joined in this order. `text` if
        /// absent.
        rank_fields: Names,
        /// Maximum number of tokens of each document; the rest is ignored.
        max_tokens_per_doc: Count,
        /// Number of chunks of a document that are scored, in Cohere's API: 1 by default. The score of the
        /// document is the highest one. A chunk has the tokens that the model can read next to the query.
        max_chunks_per_doc: Count,
        /// Refused: a cross-encoder has no embeddings.
        return_embeddings: Unsupported,
        /// Whether to truncate a pair beyond the model's limit (default). Otherwise it is an error.
        truncation: Truncate,
        /// The same as `truncation`.
        truncate: Truncate,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Maximum number of tokens of each pair, special tokens included, in vLLM's API; -1 is the model's
        /// limit. Without a cross-encoder, it is that of the query and of each document.
        truncate_prompt_tokens: PromptTokens,
        /// Whether to return logits instead of scores.
        raw_scores: Flag,
        /// The opposite of `raw_scores`, in vLLM's API.
        use_activation: Flag,
        /// The same as `use_activation`.
        activation: Flag,
        /// Name of the model's prompt; see `/similarity`. A cross-encoder has no prompts.
        prompt_name: PromptName,
        /// What to do with an invalid document: `error` refuses the request (default); `null` ranks the
        /// others.
        on_error: Choice<OnError>,
        /// Ignored; the service has one model.
        model: Unread,
        /// Ignored; requests have no priorities.
        priority: Unread,
        /// Ignored.
        user: Unread,
    }
}

pub(super) fn rerank(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    rerank_version(fields, limits, "1")
}

fn rerank_version(
    fields: &mut Fields,
    limits: &Limits,
    version: &'static str,
) -> Result<Call, RequestError> {
    let form = Form {
        version,
        is_voyage: fields.has("top_k", |_| true)
            || fields.has("truncation", |_| true) && !fields.has("top_n", |_| true),
        objects: Vec::new(),
    };
    fields.read_texts(true);
    let is_left = fields.reading().truncation == Some(Direction::Left);
    let body = CohereRerankBody::decode(fields, limits)?;
    let form = Form { objects: body.documents.objects, ..form };
    let truncate = one_of(body.truncation.0, body.truncate.0, "truncate", "truncation")?;
    let top_n = one_of(body.top_n.0, body.top_k.0, "top_k", "top_n")?;
    let (documents, own) = (body.return_documents.0, body.return_text.0);
    let return_texts = one_of(documents, own, "return_text", "return_documents")?;
    let truncation = match truncate {
        None | Some(Truncation::Right) if is_left => Truncation::Left,
        truncation => truncation.unwrap_or(Truncation::Right),
    };
    let (activates, former) = (body.use_activation.0, body.activation.0);
    let activates = one_of(activates, former, "activation", "use_activation")?;
    let raw_scores = body.raw_scores.0;
    let raw_scores =
        one_of(raw_scores, activates.map(|activates| !activates), "use_activation", "raw_scores")?;
    let raw_scores = raw_scores.unwrap_or(false);
    let request = RerankRequest {
        query: body.query.0,
        texts: body.documents.texts,
        options: PairOptions { truncation, raw_scores, text_tokens: None },
        prompt_name: body.prompt_name,
        max_text_tokens: body.max_tokens_per_doc.0,
        max_parts: body.max_chunks_per_doc.0,
        token_limit: body.truncate_prompt_tokens.0,
        top_n,
        return_texts: return_texts.unwrap_or(false),
    };
    Ok(Call::new(request, move |request, listed, service| form.response(request, listed, service)))
}

/// The form of a response.
struct Form {
    version: &'static str,
    /// Whether the request is one of Voyage.
    is_voyage: bool,
    /// For each document that is an object: the object, unchanged.
    objects: Vec<Option<Map<String, Value>>>,
}

/// The texts that are most relevant to a query.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RerankResponse {
    /// The id of the response.
    id: String,
    /// The ranked texts, best first. Absent in Voyage's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<RerankResult>>,
    /// `list`, in Voyage's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'static str>,
    /// The ranked texts, best first, as in Voyage's API. In Voyage's form, with the texts if they were
    /// requested.
    data: Vec<RerankResult>,
    /// Name of the model that scored the texts. The requested name is ignored.
    model: String,
    /// The cost of the request, as in Jina's and Voyage's API.
    usage: RerankUsage,
    /// The cost of the request, as in Cohere's API.
    meta: RerankMeta,
    /// The errors of the invalid documents, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct RerankResult {
    /// Index of the text in the request.
    index: usize,
    /// Its score; null if the document is invalid.
    relevance_score: f32,
    /// The document, if it was requested: an object, unchanged, or the text in an object. In Voyage's
    /// form, the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

/// Token counts of a rerank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct RerankUsage {
    /// Number of tokens of all texts after truncation, special tokens included.
    total_tokens: usize,
    /// Equal to `total_tokens`.
    prompt_tokens: usize,
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
pub(super) struct ApiVersion {
    /// `1` or `2`.
    pub(super) version: &'static str,
}

/// Billed units of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct BilledUnits {
    /// Number of texts divided by 100, rounded up.
    search_units: usize,
}

impl Form {
    fn response(
        &self,
        request: &RerankRequest,
        listed: Listed<Scores>,
        service: &Service,
    ) -> Result<Reply, Error> {
        let (texts, scores) = (request.texts.as_slice(), listed.outcome);
        let document = |index: usize| match (&self.objects[index], self.is_voyage) {
            (Some(object), false) => Value::Object(object.clone()),
            (None, false) => serde_json::json!({"text": texts[index]}),
            (_, true) => Value::String(texts[index].clone()),
        };
        let result = |index: usize| RerankResult {
            index,
            relevance_score: scores.scores[index],
            document: request.return_texts.then(|| document(index)),
        };
        let best = rank(&scores.scores, request.top_n.unwrap_or(usize::MAX));
        let results: Vec<RerankResult> = best.into_iter().map(result).collect();
        let items = results.len();
        // Some clients of Voyage send the body of Cohere. They read only `data`.
        let without_text =
            |result: &RerankResult| RerankResult { document: None, ..result.clone() };
        let data = match self.is_voyage {
            true => results.clone(),
            false => results.iter().map(without_text).collect(),
        };
        let prompt_tokens = scores.cost.prompt_tokens;
        let response = RerankResponse {
            id: request_id(),
            object: self.is_voyage.then_some("list"),
            data,
            results: (!self.is_voyage).then_some(results),
            model: service.about().scorer(scores.scored_by).to_owned(),
            usage: RerankUsage { total_tokens: prompt_tokens, prompt_tokens },
            meta: RerankMeta {
                api_version: ApiVersion { version: self.version },
                billed_units: BilledUnits {
                    search_units: texts.len().div_ceil(DOCUMENTS_PER_SEARCH_UNIT),
                },
                scored_by: scorer_name(scores.scored_by),
            },
            errors: listed.errors,
        };
        Reply::new(&response, items)
    }
}
