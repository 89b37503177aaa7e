//! Tests of the API: operations, and routes over HTTP.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "figures are shown with --nocapture")]

mod corpus;
mod cross_encoder;
mod documents;
mod guarantees;
mod http;
mod operations;
mod options;
mod random_requests;
mod search;
mod similarity;
mod texts;

use semblance_api::{ApiError, Call, Limits, Report, RequestError, Service, decode_event, routes};
use serde_json::Value;

/// Decodes a request: a direct event if `form` is `event`, otherwise the body of a POST request to the
/// path `form`.
fn call(form: &str, request: Value, limits: &Limits) -> Result<Call, RequestError> {
    if form == "event" {
        return decode_event(request, limits);
    }
    let route = routes().find(|route| route.path == form && route.method == "POST").unwrap();
    route.call(request, limits)
}

/// Runs a request. Returns its response and its cost.
fn run(service: &Service, form: &str, request: Value) -> Result<(Value, Report), ApiError> {
    let answer = call(form, request, service.limits())?.run(service)?;
    Ok((serde_json::from_str(answer.reply.body.get()).unwrap(), answer.report))
}
