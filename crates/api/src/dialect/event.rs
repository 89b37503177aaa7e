//! The event of the function, and the routes at the root. An event is `{"query_from_app",
//! "actual_queries"}`, or an object with the field `operation`.

use axum::body::Bytes;
use axum::http::Method;
use semblance::TextOptions;
use semblance::outcome::{Scores, rank};
use serde::Serialize;
use serde_json::{Error, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::sagemaker;
use super::tei::{self, Prediction, Rank, TokenOfText};
use super::tei_embed;
use super::{Route, RouteSchema, corpus, search};
use crate::body::{
    Absent, Body as _, Candidates, Choice, Count, Direction, Fields, Flag, OnError, PromptName,
    Text, body, truncation,
};
use crate::openapi::{Schemas, any_of};
use crate::operation::{
    Call, DocumentRequest, ItemError, Listed, Reply, SimilarityRequest, Status, WarmUpRequest,
};
use crate::request::RequestError;
use crate::service::Service;
use crate::{About, Limits};

/// The accepted shapes of a direct event.
pub const DIRECT_SHAPES: &str =
    "{\"query_from_app\", \"actual_queries\"}, {\"operation\", …} or the body of a route";

/// The fields that identify a direct event: an object without any of them is not a request.
pub const REQUEST_FIELDS: &[&str] = &[
    "operation",
    "query_from_app",
    "actual_queries",
    "inputs",
    "input",
    "query",
    "texts",
    "documents",
];

/// The accepted shapes of an HTTP request.
const EVENT_SHAPES: &str =
    "{\"query_from_app\", \"actual_queries\"}, {\"inputs\"} or {\"operation\", …}";

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/",
        summary: "Process an event of the function, or a body of text-embeddings-inference",
        decode: sagemaker::any,
        errors: &tei::ERRORS,
        schema: event_schema,
    },
    Route {
        method: Method::GET,
        path: "/",
        summary: "Describe models and limits; browsers get the page",
        decode: tei::info,
        errors: &tei::ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<About>()),
    },
    Route {
        method: Method::GET,
        path: "/openapi.json",
        summary: "Describe the routes",
        decode: |_, _| {
            Ok(Call::new(DocumentRequest, |_, body, _| Ok::<_, Error>(Reply { body, items: 1 })))
        },
        errors: &tei::ERRORS,
        schema: |_| {
            let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
            RouteSchema::get(Schema::Object(object.build()).into())
        },
    },
];

/// An operation that an event can name.
struct NamedOperation {
    name: &'static str,
    decode: fn(&mut Fields, &Limits) -> Result<Call, RequestError>,
    /// The bodies that it accepts; empty for an operation without texts.
    bodies: &'static [NamedBody],
}

/// A body of an operation.
struct NamedBody {
    schema: fn(&mut Schemas) -> RefOr<Schema>,
    /// Whether the body identifies the operation without the field `operation`.
    is_unambiguous: bool,
}

/// The operations that the field `operation` can name.
const OPERATIONS: [NamedOperation; 16] = [
    NamedOperation {
        name: "similarity",
        decode: similarity_or_tei,
        bodies: &[
            NamedBody { schema: |schemas| schemas.body::<EventBody>(), is_unambiguous: true },
            NamedBody {
                schema: |schemas| schemas.body::<tei::SimilarityBody>(),
                is_unambiguous: true,
            },
        ],
    },
    NamedOperation {
        name: "embed",
        decode: tei_embed::embed,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei_embed::EmbedBody>(),
            is_unambiguous: true,
        }],
    },
    NamedOperation {
        name: "embed_all",
        decode: tei_embed::embed_all,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei_embed::EmbedAllBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation { name: "embed_sparse", decode: tei_embed::embed_sparse, bodies: &[] },
    NamedOperation {
        name: "rerank",
        decode: tei::rerank,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::RerankBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "predict",
        decode: tei::predict,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::PredictBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "tokenize",
        decode: tei::tokenize,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::TokenizeBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "decode",
        decode: tei::detokenize,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::DecodeBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "search",
        decode: search::search,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<search::SearchBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "mine",
        decode: corpus::mine,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<corpus::MineBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "cluster",
        decode: corpus::cluster,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<corpus::ClusterBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation {
        name: "map",
        decode: corpus::map,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<corpus::MapBody>(),
            is_unambiguous: false,
        }],
    },
    NamedOperation { name: "indexes", decode: corpus::indexes, bodies: &[] },
    NamedOperation { name: "info", decode: tei::info, bodies: &[] },
    NamedOperation { name: "health", decode: tei::health, bodies: &[] },
    NamedOperation { name: "warmup", decode: warm_up, bodies: &[] },
];

body! {
    /// The event of the function.
    EventBody = {
        "query_from_app": "How many people live in London?",
        "actual_queries": ["Around 9 million", "It has a river"]
    } {
        /// The query.
        query_from_app: Text,
        /// The texts to compare with the query. Repetitions are kept.
        actual_queries: Candidates,
        /// Number of texts to return, best first; all if absent.
        top_k: Count,
        /// Whether to truncate a text beyond the model's limit (default). Otherwise it is an error.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Name of the model's prompt to put before the query and the texts. Absent: the model's prompt
        /// for a query, and that for a document. Null: no prompt.
        prompt_name: PromptName,
        /// What to do with an invalid text of `actual_queries`: `error` refuses the event (default);
        /// `null` scores the others.
        on_error: Choice<OnError>,
        /// Must be absent. With `inputs`, the request is a body of text-embeddings-inference.
        inputs: Absent,
    }
}

/// Decodes a direct event: an event of the function, an object with the field `operation`, or the body
/// of a route.
///
/// # Errors
/// - [`RequestError`], which names the invalid field.
pub fn decode(event: Value, limits: &Limits) -> Result<Call, RequestError> {
    decode_fields(Fields::new(event)?, limits)
}

/// As [`decode`], of the bytes of a JSON document. Fields that the request does not use take no memory.
///
/// # Errors
/// - [`RequestError`], which names the invalid field.
pub fn decode_document(event: &[u8], limits: &Limits) -> Result<Call, RequestError> {
    decode_fields(Fields::from_document(Bytes::copy_from_slice(event))?, limits)
}

fn decode_fields(mut fields: Fields, limits: &Limits) -> Result<Call, RequestError> {
    sagemaker::any(&mut fields, limits).map_err(|error| match error {
        RequestError::Unrecognized { .. } => RequestError::Unrecognized { expected: DIRECT_SHAPES },
        other => other,
    })
}

/// Decodes a request with the field `operation`, or the event of the function.
pub(super) fn operation(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let known = ["operation", "query_from_app", "actual_queries"];
    if !known.iter().any(|name| fields.has(name, |_| true)) {
        return Err(RequestError::Unrecognized { expected: EVENT_SHAPES });
    }
    let field = fields.field("operation");
    let Some(name) = fields.name("operation")? else { return similarity(fields, limits) };
    match OPERATIONS.iter().find(|operation| operation.name == name) {
        Some(operation) => (operation.decode)(fields, limits),
        None => {
            let names: Vec<String> =
                OPERATIONS.iter().map(|one| format!("{:?}", one.name)).collect();
            let expected = format!("one of {}", names.join(", ")).into();
            Err(RequestError::UnknownValue { field, expected })
        }
    }
}

fn similarity_or_tei(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    match fields.has("inputs", |value| !value.is_null()) {
        true => tei::similarity(fields, limits),
        false => similarity(fields, limits),
    }
}

fn similarity(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.lift("parameters")?;
    fields.read_texts(true);
    let body = EventBody::decode(fields, limits)?;
    let options = TextOptions {
        truncation: truncation(&body.truncate, &body.truncation_direction, true),
        prompts: body.prompt_name.prompts(),
        text_tokens: None,
    };
    let (query, texts) = (body.query_from_app.0, body.actual_queries.0);
    Ok(Call::new(SimilarityRequest { query, texts, top_k: body.top_k.0, options }, response))
}

fn warm_up(_: &mut Fields, _: &Limits) -> Result<Call, RequestError> {
    Ok(warm_up_call())
}

/// Returns the call for a scheduled event.
#[must_use]
pub fn warm_up_call() -> Call {
    Call::new(WarmUpRequest, |_, status, _| Reply::new(&status, 1))
}

/// The response to an event: `{"Scores": [[text, score], …]}`, best first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SimilarityResponse {
    /// Each text, unchanged, with its similarity to the query. Cosine similarity, the usual function,
    /// is in [-1, 1]. Highest first, ties in input order. An invalid text has null and is last.
    scores: Vec<(String, f32)>,
    /// The truncated texts; absent if no text was truncated.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<Truncated>,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// The texts that were truncated to the model's limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Truncated {
    /// Whether the query was truncated.
    query: bool,
    /// Indices of the truncated texts, in input order.
    actual_queries: Vec<usize>,
}

impl Truncated {
    /// Returns the truncated texts from their indices. Index 0 is the query; texts start at 1. `None`
    /// if no text was truncated.
    fn new(indices: &[usize]) -> Option<Self> {
        let (query, texts): (Vec<usize>, Vec<usize>) =
            indices.iter().partition(|&&index| index == 0);
        (!indices.is_empty()).then(|| Self {
            query: !query.is_empty(),
            actual_queries: texts.into_iter().map(|index| index - 1).collect(),
        })
    }
}

fn response(
    request: &SimilarityRequest,
    listed: Listed<Scores>,
    _: &Service,
) -> Result<Reply, Error> {
    let (texts, scores) = (request.texts.as_slice(), listed.outcome);
    let best = rank(&scores.scores, request.top_k.unwrap_or(usize::MAX));
    let response = SimilarityResponse {
        scores: best.into_iter().map(|i| (texts[i].clone(), scores.scores[i])).collect(),
        truncated: Truncated::new(&scores.cost.truncated),
        errors: listed.errors,
    };
    Reply::new(&response, response.scores.len())
}

/// Returns the schema of a route that accepts events of the function and bodies of
/// text-embeddings-inference.
pub(super) fn event_schema(schemas: &mut Schemas) -> RouteSchema {
    let mut bodies = Vec::new();
    for operation in &OPERATIONS {
        for body in operation.bodies {
            let name = name_schema([operation.name], !body.is_unambiguous);
            let all = AllOfBuilder::new().item((body.schema)(schemas)).item(name);
            bodies.push(Schema::AllOf(all.build()).into());
        }
    }
    let bare = OPERATIONS.iter().filter(|operation| operation.bodies.is_empty());
    bodies.push(name_schema(bare.map(|operation| operation.name), true));
    let list = schemas.inline::<Vec<f32>>();
    let replies = [
        schemas.reply::<SimilarityResponse>(),
        schemas.list_or_errors(list),
        schemas.inline::<Vec<Vec<f32>>>(),
        schemas.inline::<Vec<Vec<Vec<f32>>>>(),
        schemas.inline::<Vec<Rank>>(),
        schemas.inline::<Vec<Prediction>>(),
        schemas.inline::<Vec<Vec<Prediction>>>(),
        schemas.inline::<Vec<Vec<TokenOfText<'static>>>>(),
        schemas.inline::<Vec<String>>(),
        schemas.reply::<search::SearchReply>(),
        schemas.reply::<corpus::MineReply>(),
        schemas.reply::<corpus::ClusterReply>(),
        schemas.reply::<corpus::MapReply>(),
        schemas.reply::<corpus::IndexesReply>(),
        schemas.reply::<About>(),
        schemas.reply::<Status>(),
    ];
    RouteSchema::post(any_of(bodies), any_of(replies)).with_scorer().with_missing()
}

/// Returns the schema of an object whose `operation` is one of these names.
fn name_schema<'a>(names: impl IntoIterator<Item = &'a str>, required: bool) -> RefOr<Schema> {
    let mut values: Vec<Value> = names.into_iter().map(|name| json!(name)).collect();
    if !required {
        values.push(Value::Null);
    }
    let name = ObjectBuilder::new().enum_values(Some(values)).schema_type(SchemaType::AnyValue);
    let object = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property("operation", Schema::Object(name.build()));
    let object = if required { object.required("operation") } else { object };
    Schema::Object(object.build()).into()
}
