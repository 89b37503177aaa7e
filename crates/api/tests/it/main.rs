//! The API through its doors: operations, and the routes over HTTP.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "figures are shown with --nocapture")]

mod cross_encoder;
mod documents;
mod http;
mod operations;

use semblance_api::{ApiError, Call, Limits, Report, RequestError, Service, decode_event, routes};
use serde_json::Value;

/// Reads a request: of a direct event if `form` is `event`, else of the route that takes bodies at
/// that path.
fn call(form: &str, request: Value, limits: &Limits) -> Result<Call, RequestError> {
    if form == "event" {
        return decode_event(request, limits);
    }
    let route = routes().find(|route| route.path == form && route.method == "POST").unwrap();
    route.call(request, limits)
}

/// Runs a request; returns its reply and what it cost.
fn run(service: &Service, form: &str, request: Value) -> Result<(Value, Report), ApiError> {
    let answer = call(form, request, service.limits())?.run(service)?;
    Ok((serde_json::from_str(answer.reply.body.get()).unwrap(), answer.report))
}
