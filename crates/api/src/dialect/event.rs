//! The event of the function: `{"query_from_app", "actual_queries"}`, or an object that names its
//! `operation`; and the routes at the root.

use axum::http::Method;
use semblance::{Scores, TextOptions, rank};
use serde::Serialize;
use serde_json::{Error, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::sagemaker::invocation;
use super::tei::{self, Prediction, Rank, TokenOfText};
use super::{Route, RouteSchema};
use crate::body::{
    Absent, Body as _, Candidates, Choice, Count, Direction, Fields, Flag, Text, body, truncation,
};
use crate::openapi::{Schemas, any_of};
use crate::operation::{Call, DocumentRequest, Reply, SimilarityRequest, Status, WarmUpRequest};
use crate::request::RequestError;
use crate::service::Service;
use crate::{About, Limits};

/// The shapes of a request to the function itself.
pub const DIRECT_SHAPES: &str = "{\"query_from_app\", \"actual_queries\"} or {\"operation\", …}";

/// The shapes of a request over HTTP.
pub(super) const EVENT_SHAPES: &str =
    "{\"query_from_app\", \"actual_queries\"}, {\"inputs\"} or {\"operation\", …}";

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/",
        summary: "Answer an event of the function, or a body of text-embeddings-inference",
        decode: invocation,
        errors: &tei::ERRORS,
        schema: event_schema,
    },
    Route {
        method: Method::GET,
        path: "/",
        summary: "Describe models and limits, or show the page to a browser",
        decode: tei::info,
        errors: &tei::ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<About>()),
    },
    Route {
        method: Method::GET,
        path: "/openapi.json",
        summary: "Describe the routes",
        decode: |_, _| Ok(Call::new(DocumentRequest, |_, body, _| Ok(Reply { body, items: 1 }))),
        errors: &tei::ERRORS,
        schema: |_| {
            let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
            RouteSchema::get(Schema::Object(object.build()).into())
        },
    },
];

/// An operation by name.
struct Named {
    name: &'static str,
    decode: fn(&mut Fields, &Limits) -> Result<Call, RequestError>,
    /// The bodies that it reads; none for an operation without texts.
    bodies: &'static [NamedBody],
}

/// A body of an operation.
struct NamedBody {
    schema: fn(&mut Schemas) -> RefOr<Schema>,
    /// Whether the body alone says which operation it is for.
    is_enough: bool,
}

/// What the field `operation` may be.
const OPERATIONS: [Named; 8] = [
    Named {
        name: "similarity",
        decode: similarity_or_tei,
        bodies: &[
            NamedBody { schema: |schemas| schemas.body::<EventBody>(), is_enough: true },
            NamedBody { schema: |schemas| schemas.body::<tei::SimilarityBody>(), is_enough: true },
        ],
    },
    Named {
        name: "embed",
        decode: tei::embed,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::EmbedBody>(),
            is_enough: true,
        }],
    },
    Named {
        name: "rerank",
        decode: tei::rerank,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::RerankBody>(),
            is_enough: false,
        }],
    },
    Named {
        name: "predict",
        decode: tei::predict,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::PredictBody>(),
            is_enough: false,
        }],
    },
    Named {
        name: "tokenize",
        decode: tei::tokenize,
        bodies: &[NamedBody {
            schema: |schemas| schemas.body::<tei::TokenizeBody>(),
            is_enough: false,
        }],
    },
    Named { name: "info", decode: tei::info, bodies: &[] },
    Named { name: "health", decode: tei::health, bodies: &[] },
    Named { name: "warmup", decode: warm_up, bodies: &[] },
];

body! {
    /// The event of the function.
    EventBody = {
        "query_from_app": "How many people live in London?",
        "actual_queries": ["Around 9 million", "It has a river"]
    } {
        /// The query.
        query_from_app: Text,
        /// The texts to compare with it; repetitions are kept.
        actual_queries: Candidates,
        /// Keep the best only; all if absent.
        top_k: Count,
        /// Whether to truncate a text beyond the model's limit (default); otherwise it is an error.
        truncate: Flag,
        /// The end of a text where tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Must be absent: its texts would be read instead.
        inputs: Absent,
    }
}

/// Reads a direct event: the request is the event itself.
///
/// # Errors
/// - [`RequestError`], which names the field at fault.
pub fn decode(event: Value, limits: &Limits) -> Result<Call, RequestError> {
    operation(&mut Fields::new(event)?, limits, DIRECT_SHAPES)
}

/// Reads a request that names its operation, or the event of the function. `shapes` lists what is
/// accepted where the request came from.
pub(super) fn operation(
    fields: &mut Fields,
    limits: &Limits,
    shapes: &'static str,
) -> Result<Call, RequestError> {
    let known = ["operation", "query_from_app", "actual_queries"];
    if !known.iter().any(|name| fields.has(name, |_| true)) {
        return Err(RequestError::Unrecognized { expected: shapes });
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
    let body = EventBody::decode(fields, limits)?;
    let options = TextOptions {
        truncation: truncation(&body.truncate, &body.truncation_direction, true),
        prompt_name: None,
    };
    let (query, texts) = (body.query_from_app.0, body.actual_queries.0);
    Ok(Call::new(SimilarityRequest { query, texts, top_k: body.top_k.0, options }, response))
}

fn warm_up(_: &mut Fields, _: &Limits) -> Result<Call, RequestError> {
    Ok(warm_up_call())
}

/// Returns the call that a scheduled event makes.
#[must_use]
pub fn warm_up_call() -> Call {
    Call::new(WarmUpRequest, |_, status, _| Reply::new(&status, 1))
}

/// The reply: `{"Scores": [[text, score], …]}`, best first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SimilarityResponse {
    /// Each text as it came, with its cosine similarity to the query in [-1, 1]; highest first,
    /// ties in input order.
    scores: Vec<(String, f32)>,
    /// Which texts were truncated; absent if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<Truncated>,
}

/// Which texts were truncated to the model's limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Truncated {
    /// Whether the query was.
    query: bool,
    /// Indices of the truncated texts, in input order.
    actual_queries: Vec<usize>,
}

impl Truncated {
    /// Returns what `indices` say, where 0 is the query and texts start at 1.
    fn new(indices: &[usize]) -> Option<Self> {
        let (query, texts): (Vec<usize>, Vec<usize>) =
            indices.iter().partition(|&&index| index == 0);
        (!indices.is_empty()).then(|| Self {
            query: !query.is_empty(),
            actual_queries: texts.into_iter().map(|index| index - 1).collect(),
        })
    }
}

fn response(request: &SimilarityRequest, scores: Scores, _: &Service) -> Result<Reply, Error> {
    let texts = request.texts.as_slice();
    let best = rank(&scores.scores, request.top_k.unwrap_or(usize::MAX));
    let response = SimilarityResponse {
        scores: best.into_iter().map(|i| (texts[i].clone(), scores.scores[i])).collect(),
        truncated: Truncated::new(&scores.cost.truncated),
    };
    Reply::new(&response, response.scores.len())
}

/// The schema of a route that takes events of the function and bodies of
/// text-embeddings-inference.
pub(super) fn event_schema(schemas: &mut Schemas) -> RouteSchema {
    let mut bodies = Vec::new();
    for operation in &OPERATIONS {
        for body in operation.bodies {
            let name = name_schema([operation.name], !body.is_enough);
            let all = AllOfBuilder::new().item((body.schema)(schemas)).item(name);
            bodies.push(Schema::AllOf(all.build()).into());
        }
    }
    let bare = OPERATIONS.iter().filter(|operation| operation.bodies.is_empty());
    bodies.push(name_schema(bare.map(|operation| operation.name), true));
    let replies = [
        schemas.reply::<SimilarityResponse>(),
        schemas.inline::<Vec<f32>>(),
        schemas.inline::<Vec<Vec<f32>>>(),
        schemas.inline::<Vec<Rank>>(),
        schemas.inline::<Vec<Prediction>>(),
        schemas.inline::<Vec<Vec<Prediction>>>(),
        schemas.inline::<Vec<Vec<TokenOfText>>>(),
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
