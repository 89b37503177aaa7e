//! What goes wrong over HTTP: a status, a stable code and a body in the dialect of the route.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Dialect, GateError};
use crate::api::RequestError;
use crate::service::ServiceError;
use crate::telemetry::chain;

/// Seconds after which a request that was refused for load is worth another try.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request over HTTP has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The operation has none.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// There is nothing at the path.
    #[error("there is nothing at this path; /openapi.json lists the routes")]
    NotFound,
    /// There is no model of the name in the path.
    #[error("there is no model of this name; /v1/models lists them")]
    UnknownModel,
    /// The path is not for this method.
    #[error("this path is not for this method, only for {allow}")]
    MethodNotAllowed {
        /// The methods that it is for, as in the header `Allow`.
        allow: &'static str,
    },
    /// The body is of a kind that is not read.
    #[error("the request's {header} must be {expected}")]
    UnsupportedMediaType {
        /// The header that says so.
        header: &'static str,
        /// What it may say.
        expected: &'static str,
    },
    /// The body is not what its content-encoding says.
    #[error("the body is not valid {encoding}")]
    InvalidEncoding {
        /// What it is said to be.
        encoding: &'static str,
    },
    /// The body broke off.
    #[error("the body did not arrive whole")]
    IncompleteBody,
    /// The body has too many bytes.
    #[error("the body has {} bytes{}, the limit is {limit_bytes}", size(*.bytes), decoded(*.is_decoded))]
    BodyTooLarge {
        /// How many it is said to have; none if it does not say.
        bytes: Option<u64>,
        /// How many it may have.
        limit_bytes: usize,
        /// Whether they are counted after it was decompressed.
        is_decoded: bool,
    },
    /// The answer has too many bytes for the way back.
    #[error(
        "the reply has {bytes} bytes, the limit is {limit_bytes}: {fit} of the {items} items fit in \
         one reply"
    )]
    ReplyTooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit_bytes: usize,
        /// Vectors, scores or texts that it holds.
        items: usize,
        /// How many of them would fit.
        fit: usize,
    },
}

/// What went wrong, for logs and metrics; an extension of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: &'static str,
    /// What is at fault, with its causes.
    pub error: String,
}

/// An error as text-embeddings-inference writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TeiError {
    /// What is wrong; never holds a text of the request.
    pub error: String,
    /// Stable code, for programs.
    pub error_type: &'static str,
}

/// An error as OpenAI writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenAiError {
    /// The error.
    pub error: OpenAiErrorObject,
}

/// What is wrong, in OpenAI's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenAiErrorObject {
    /// What is wrong; never holds a text of the request.
    pub message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    pub r#type: &'static str,
    /// Stable code, for programs.
    pub code: &'static str,
    /// The field that is at fault, if it is one.
    #[schema(required)]
    pub param: Option<String>,
}

impl HttpError {
    /// Every code that is neither a request's nor a service's.
    pub const CODES: [&'static str; 11] = [
        "internal.panic",
        "http.overloaded",
        "http.timed_out",
        "http.not_found",
        "http.unknown_model",
        "http.method_not_allowed",
        "http.unsupported_media_type",
        "http.invalid_encoding",
        "http.incomplete_body",
        "http.body_too_large",
        "response.too_large",
    ];

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gate(error) => error.code(),
            Self::NotFound => "http.not_found",
            Self::UnknownModel => "http.unknown_model",
            Self::MethodNotAllowed { .. } => "http.method_not_allowed",
            Self::UnsupportedMediaType { .. } => "http.unsupported_media_type",
            Self::InvalidEncoding { .. } => "http.invalid_encoding",
            Self::IncompleteBody => "http.incomplete_body",
            Self::BodyTooLarge { .. } => "http.body_too_large",
            Self::ReplyTooLarge { .. } => "response.too_large",
        }
    }

    /// The status; that of a fault in the request's fields depends on the dialect.
    #[must_use]
    pub fn status(&self, dialect: Dialect) -> StatusCode {
        match self {
            Self::Gate(GateError::Service(ServiceError::Request(error))) => {
                request_status(error, dialect)
            }
            Self::Gate(GateError::Service(ServiceError::Encode(_)) | GateError::Panic) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Gate(GateError::Overloaded { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::Gate(GateError::TimedOut { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound | Self::UnknownModel => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidEncoding { .. } | Self::IncompleteBody => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } | Self::ReplyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// Returns the response of this error, with a [`Failure`] among its extensions.
    #[must_use]
    pub fn response(&self, dialect: Dialect) -> Response {
        let (status, code, message) = (self.status(dialect), self.code(), chain(self));
        let failure = Failure { code, error: message.clone() };
        let body = match dialect {
            Dialect::Tei => Json(TeiError { error: message, error_type: code }).into_response(),
            Dialect::OpenAi => {
                let (r#type, param) = (open_ai_type(status), self.param());
                let error = OpenAiErrorObject { message, r#type, code, param };
                Json(OpenAiError { error }).into_response()
            }
        };
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        match *self {
            Self::MethodNotAllowed { allow } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::Gate(GateError::Overloaded { .. } | GateError::TimedOut { .. }) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            _ => {}
        }
        response.extensions_mut().insert(failure);
        response
    }

    /// The field that is at fault, if it is one.
    fn param(&self) -> Option<String> {
        match self {
            Self::Gate(GateError::Service(ServiceError::Request(error))) => {
                error.field().map(|field| field.to_string())
            }
            _ => None,
        }
    }
}

impl From<RequestError> for HttpError {
    fn from(error: RequestError) -> Self {
        Self::Gate(ServiceError::from(error).into())
    }
}

fn request_status(error: &RequestError, dialect: Dialect) -> StatusCode {
    match (error, dialect) {
        // As good as no route: what is missing is not in the request.
        (RequestError::NoCrossEncoder, _) => StatusCode::NOT_FOUND,
        (RequestError::InvalidJson { .. }, _) | (_, Dialect::OpenAi) => StatusCode::BAD_REQUEST,
        (
            RequestError::TooManyTexts { .. }
            | RequestError::TextTooLong { .. }
            | RequestError::TooManyTokens { .. },
            Dialect::Tei,
        ) => StatusCode::PAYLOAD_TOO_LARGE,
        (_, Dialect::Tei) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn open_ai_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string())
}

fn decoded(is_decoded: bool) -> &'static str {
    if is_decoded { " when decompressed" } else { "" }
}
