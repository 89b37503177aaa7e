//! Dialects: the public APIs that the service implements. A dialect is one file in this module and
//! one line in [`DIALECTS`]. The router, the OpenAPI document, the help of the command line and
//! docs/http.md are generated from its routes.

mod cohere;
mod cohere_embed;
mod corpus;
mod embedding;
mod error_form;
mod event;
mod ollama;
mod openai;
mod sagemaker;
mod search;
mod tei;
mod tei_embed;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::Method;
use semblance::Fault;
use semblance::internals::bundle::sha256_hex;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::Limits;
use crate::body::Fields;
use crate::openapi::Schemas;
use crate::operation::Call;
use crate::request::RequestError;

pub(crate) use error_form::ErrorForm;
pub use event::{
    DIRECT_SHAPES, REQUEST_FIELDS, decode as decode_event, decode_document, warm_up_call,
};

/// The routes of every dialect.
const DIALECTS: [&[Route]; 10] = [
    event::ROUTES,
    search::ROUTES,
    corpus::ROUTES,
    sagemaker::ROUTES,
    tei::ROUTES,
    tei_embed::ROUTES,
    openai::ROUTES,
    cohere::ROUTES,
    cohere_embed::ROUTES,
    ollama::ROUTES,
];

/// A route: a path with a method.
pub struct Route {
    /// POST or GET. GET includes HEAD.
    pub method: Method,
    /// The path, in the notation of OpenAPI.
    pub path: &'static str,
    /// The purpose of the route, one sentence without a period.
    pub summary: &'static str,
    /// Decodes a request from the fields of its body or path.
    pub(crate) decode: fn(&mut Fields, &Limits) -> Result<Call, RequestError>,
    /// Its error format.
    pub(crate) errors: &'static ErrorForm,
    /// Returns the schema of the body and the response.
    pub(crate) schema: fn(&mut Schemas) -> RouteSchema,
}

impl Route {
    /// Decodes a request.
    ///
    /// # Errors
    /// - [`RequestError`], which names the invalid field.
    pub fn call(&self, request: Value, limits: &Limits) -> Result<Call, RequestError> {
        (self.decode)(&mut Fields::new(request)?, limits)
    }
}

/// The schema of a route.
pub(crate) struct RouteSchema {
    /// The body of the request, if it has one.
    pub(crate) body: Option<RefOr<Schema>>,
    /// The response.
    pub(crate) reply: RefOr<Schema>,
    /// Whether responses have the header that names the scorer.
    pub(crate) has_scorer: bool,
    /// Whether a request can refer to a missing model or cross-encoder.
    pub(crate) can_be_missing: bool,
}

impl RouteSchema {
    /// Returns the schema of a route without a body.
    pub(crate) fn get(reply: RefOr<Schema>) -> Self {
        Self { body: None, reply, has_scorer: false, can_be_missing: false }
    }

    /// Returns the schema of a route with a body.
    pub(crate) fn post(body: RefOr<Schema>, reply: RefOr<Schema>) -> Self {
        Self { body: Some(body), ..Self::get(reply) }
    }

    /// Returns this schema with the header that names the scorer.
    pub(crate) fn with_scorer(self) -> Self {
        Self { has_scorer: true, ..self }
    }

    /// Returns this schema for requests that can refer to a missing model or cross-encoder.
    pub(crate) fn with_missing(self) -> Self {
        Self { can_be_missing: true, ..self }
    }
}

/// Returns every route.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    DIALECTS.into_iter().flatten()
}

/// Returns the error format for a path: that of the routes with the same first segment, otherwise
/// that of text-embeddings-inference.
pub(crate) fn error_form(path: &str) -> &'static ErrorForm {
    let segment = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    let first = segment(path);
    routes()
        .find(|route| !first.is_empty() && segment(route.path) == first)
        .map_or(&tei::ERRORS, |route| route.errors)
}

/// Returns a new id for a response, in the form of a UUID.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let seed = format!("{} {now} {count}", std::process::id());
    let hex = sha256_hex(seed.as_bytes());
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// Returns the HTTP status of a fault in each form of errors: that of text-embeddings-inference, and
/// that of OpenAI.
#[must_use]
pub fn statuses(fault: Fault) -> [u16; 2] {
    [&tei::ERRORS, &openai::ERRORS].map(|form| form.status(fault).as_u16())
}
