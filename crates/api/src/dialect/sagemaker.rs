//! The container contract of Amazon SageMaker.
//!
//! Source: Amazon SageMaker developer guide, "Use your own inference code with hosting services".

use axum::http::Method;
use serde_json::Value;

use super::event::event_schema;
use super::{Route, RouteSchema, cohere_embed, event, openai, tei, tei_embed};
use crate::Limits;
use crate::body::Fields;
use crate::operation::{Call, Status};
use crate::request::RequestError;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/invocations",
        summary: "Process an event of the function, or a body of text-embeddings-inference",
        decode: any,
        errors: &tei::ERRORS,
        schema: event_schema,
    },
    Route {
        method: Method::GET,
        path: "/ping",
        summary: "Check that the service responds",
        decode: tei::health,
        errors: &tei::ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<Status>()),
    },
];

/// Decodes an event, or a body of another route that its fields identify: of text-embeddings-inference
/// with `inputs` or `texts` (`/predict` if there is only a cross-encoder), of OpenAI with `input`, of Cohere with `documents`, or with `texts` and an
/// option of its embeddings.
pub(super) fn any(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    if fields.has("operation", |value| !value.is_null()) {
        event::operation(fields, limits)
    } else if fields.has("inputs", Value::is_object) {
        tei::similarity(fields, limits)
    } else if fields.has("inputs", |value| !value.is_null()) {
        match limits.predicts {
            true => tei::predict(fields, limits),
            false => tei_embed::embed(fields, limits),
        }
    } else if fields.has("input", |value| !value.is_null()) {
        openai::embed(fields, limits)
    } else if fields.has("texts", |_| true)
        && ["input_type", "embedding_types"].iter().any(|name| fields.has(name, |_| true))
    {
        cohere_embed::embed(fields, limits, "1")
    } else if ["texts", "documents"].iter().any(|name| fields.has(name, |_| true)) {
        tei::rerank(fields, limits)
    } else {
        event::operation(fields, limits)
    }
}
