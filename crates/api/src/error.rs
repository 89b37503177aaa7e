//! Why a request has no reply. One type for every door; each dialect writes it in its own form.

use semblance::{Code, Fault, ModelError};

use crate::request::RequestError;

/// Why a request has no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The request is at fault.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The model cannot do it, or failed.
    #[error(transparent)]
    Model(ModelError),
    /// The code failed: a bug. The next request is answered.
    #[error("internal error; the log of the service has the location")]
    Panic,
    /// The reply cannot be written as JSON: a bug.
    #[error("the reply cannot be written")]
    Write(#[source] serde_json::Error),
    /// Too many requests are in progress.
    #[error("{limit} requests are in progress or waiting; the limit is {limit}")]
    Overloaded {
        /// Requests that are admitted.
        limit: usize,
    },
    /// The reply did not arrive in time.
    #[error("the reply took longer than {limit_seconds} seconds")]
    TimedOut {
        /// The time limit.
        limit_seconds: u64,
    },
    /// There is no route at the path.
    #[error("no such path; /openapi.json lists the routes")]
    NotFound,
    /// There is no model of the name in the path.
    #[error("no model has this name; /v1/models lists the models")]
    UnknownModel,
    /// The path has no such method.
    #[error("method not allowed; use {allow}")]
    MethodNotAllowed {
        /// The methods of the path, as in the header `Allow`.
        allow: &'static str,
    },
    /// The type or encoding of the body is not supported.
    #[error("the header {header} of the request must be {expected}")]
    UnsupportedMediaType {
        /// The header at fault.
        header: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The body does not match its content encoding.
    #[error("the body is not valid {encoding}")]
    InvalidEncoding {
        /// The declared encoding.
        encoding: &'static str,
    },
    /// The body ended early.
    #[error("the body is incomplete")]
    IncompleteBody,
    /// The body has too many bytes.
    #[error("the body has {} bytes{}; the limit is {limit_bytes}", size(*.bytes), decoded(*.is_decoded))]
    BodyTooLarge {
        /// How many it declares, if it does.
        bytes: Option<u64>,
        /// The limit.
        limit_bytes: usize,
        /// Whether they are counted after decompression.
        is_decoded: bool,
    },
    /// The reply has too many bytes for the way back.
    #[error(
        "the reply has {bytes} bytes; the limit is {limit_bytes}, and {fit} of its {items} items \
         fit"
    )]
    ReplyTooLarge {
        /// How many it has.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
        /// Vectors, scores or texts in it.
        items: usize,
        /// How many of them fit, by their mean size.
        fit: usize,
    },
}

semblance::codes!(ApiError {
    Self::Panic | Self::Write(_) => Code::new(
        "internal.panic",
        Fault::Internal,
        "A bug. The log has the location. The next request is answered.",
    ),
    Self::Overloaded { .. } => Code::new(
        "http.overloaded",
        Fault::Overload,
        "Too many requests are in progress or waiting. Retry after the time in Retry-After.",
    ),
    Self::TimedOut { .. } => Code::new(
        "http.timed_out",
        Fault::Timeout,
        "The reply took longer than the time limit of the server. Send fewer texts, or retry.",
    ),
    Self::NotFound => Code::new(
        "http.not_found",
        Fault::NotFound,
        "There is no route at this path.",
    ),
    Self::UnknownModel => Code::new(
        "http.unknown_model",
        Fault::NotFound,
        "There is no model of this name.",
    ),
    Self::MethodNotAllowed { .. } => Code::new(
        "http.method_not_allowed",
        Fault::Method,
        "The path does not support the method. The header Allow lists those it supports.",
    ),
    Self::UnsupportedMediaType { .. } => Code::new(
        "http.unsupported_media_type",
        Fault::MediaType,
        "The body is not JSON in UTF-8, or its content encoding is not gzip, zstd or identity.",
    ),
    Self::InvalidEncoding { .. } => Code::new(
        "http.invalid_encoding",
        Fault::Syntax,
        "The body does not match its content encoding.",
    ),
    Self::IncompleteBody => Code::new(
        "http.incomplete_body",
        Fault::Syntax,
        "The body ended before its declared length.",
    ),
    Self::BodyTooLarge { .. } => Code::new(
        "http.body_too_large",
        Fault::PayloadTooLarge,
        "The body has too many bytes, as sent or after decompression.",
    ),
    Self::ReplyTooLarge { .. } => Code::new(
        "response.too_large",
        Fault::PayloadTooLarge,
        "The reply exceeds the limit of AWS Lambda or of the load balancer. Send fewer texts; the \
         message says how many fit.",
    ),
} else {
    Self::Request(error) => error.code(),
    Self::Model(error) => error.code(),
});

/// How a request ended, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has a reply.
    Ok,
    /// It was refused: the request is at fault, or the service has too much to do.
    Refused,
    /// The model or the code failed.
    Fault,
}

impl Verdict {
    /// Returns the verdict of a fault.
    #[must_use]
    pub fn from_fault(fault: Fault) -> Self {
        match fault {
            Fault::Internal | Fault::Start => Self::Fault,
            _ => Self::Refused,
        }
    }

    /// Its name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }
}

impl ApiError {
    /// The field at fault, if it is one.
    #[must_use]
    pub fn field(&self) -> Option<String> {
        match self {
            Self::Request(error) => error.field().map(|field| field.to_string()),
            _ => None,
        }
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string())
}

fn decoded(is_decoded: bool) -> &'static str {
    if is_decoded { " after decompression" } else { "" }
}
