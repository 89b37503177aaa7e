//! Requests, operations and responses of semblance, in the dialects of its clients.
//!
//! A request is a direct event of the function, an HTTP event, or a request to the HTTP server. A
//! dialect decodes it into a [`Call`]: a validated request for an operation, with the function that
//! serializes the response. [`Admission`] runs calls within its limits. The response or the
//! [`ApiError`] has the format of the same dialect.
//!
//! - A dialect is one file in `dialect/` and one line in its list. Its routes are data: the router,
//!   the OpenAPI document, the help of the command line and docs/http.md are generated from them.
//! - An operation is one file in `operation/`, and one function for each dialect that offers it.
//! - A body is declared once with `body!`, which generates its decoder and its schema.

mod about;
mod admission;
mod body;
mod budget;
mod config;
mod dialect;
mod error;
pub mod http;
mod limits;
mod log;
mod openapi;
mod operation;
mod request;
mod service;

pub use about::{About, AboutCrossEncoder, ModelType};
pub use admission::{Admission, AdmissionLimits};
pub use body::{parse_json, readable_json};
pub use config::{Config, origins};
pub use dialect::{
    DIRECT_SHAPES, REQUEST_FIELDS, Route, decode_document, decode_event, routes, statuses,
    warm_up_call,
};
pub use error::{ApiError, Verdict};
pub use limits::Limits;
pub use log::{Failure, Line};
pub use operation::{Answer, Call, Reply, Report};
pub use request::{
    Field, Kind, RequestError, TextFault, Texts, check_text, filter_from_json, metadata_from_json,
    metadata_to_json,
};
pub use service::{Service, ServiceOptions};
