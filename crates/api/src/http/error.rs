//! Errors as HTTP responses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::dialect::{ErrorForm, error_form};
use crate::error::ApiError;
use crate::log::Failure;

/// Seconds after which the client can retry a request that was refused because of load.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Returns the response for an error in the dialect of a path. A [`Failure`] is in its extensions.
#[must_use]
pub fn error_response(error: &ApiError, path: &str) -> Response {
    response(error, error_form(path))
}

/// Returns the status for an error in the dialect of a path.
#[must_use]
pub fn error_status(error: &ApiError, path: &str) -> StatusCode {
    error_form(path).status(error.code().fault)
}

/// Returns the response for an error in a format.
pub(super) fn response(error: &ApiError, form: &ErrorForm) -> Response {
    let failure = Failure::new(error);
    let status = form.status(error.code().fault);
    let body = (form.body)(error, error.message(), status);
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    match *error {
        ApiError::MethodNotAllowed { allow } => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        ApiError::Unauthorized => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ApiError::Overloaded { .. }
        | ApiError::OutOfMemory { .. }
        | ApiError::TooManyConnections { .. }
        | ApiError::Stopping
        | ApiError::TimedOut { .. } => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        _ => {}
    }
    response.extensions_mut().insert(failure);
    response
}
