//! The error format of a dialect: HTTP status and body.

use std::sync::LazyLock;

use axum::http::StatusCode;
use semblance::Fault;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::error::ApiError;
use crate::openapi::Schemas;

/// The status that nginx logs if the client closed the connection. No client sees it.
static CLIENT_CLOSED_REQUEST: LazyLock<StatusCode> =
    LazyLock::new(|| StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST));

/// The error format of a dialect.
#[derive(Debug)]
pub(crate) struct ErrorForm {
    /// The status for an invalid value in a request.
    pub(crate) field_status: StatusCode,
    /// The status for a text, or a list of texts, beyond a limit.
    pub(crate) too_large_status: StatusCode,
    /// Returns the body for an error, its message with causes, and its status.
    pub(crate) body: fn(&ApiError, String, StatusCode) -> Value,
    /// Returns the schema of the body.
    pub(crate) schema: fn(&mut Schemas) -> RefOr<Schema>,
}

impl ErrorForm {
    /// Returns the status for a fault.
    pub(crate) fn status(&self, fault: Fault) -> StatusCode {
        match fault {
            Fault::Field => self.field_status,
            Fault::TooLarge => self.too_large_status,
            Fault::Syntax => StatusCode::BAD_REQUEST,
            Fault::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Fault::Unauthorized => StatusCode::UNAUTHORIZED,
            Fault::NotFound => StatusCode::NOT_FOUND,
            Fault::Forbidden => StatusCode::FORBIDDEN,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Fault::Overload => StatusCode::TOO_MANY_REQUESTS,
            Fault::Timeout | Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Fault::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Fault::Abandoned => *CLIENT_CLOSED_REQUEST,
            Fault::Internal | Fault::Start | Fault::Command => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
