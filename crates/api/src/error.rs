//! Errors of a request. There is one type for every source of requests; each dialect has its own
//! format for it.

use semblance::corpus::CorpusError;
use semblance::{Code, Fault, ModelError};
use semblance_process::chain;

use crate::request::RequestError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The request is invalid.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The model does not support the request, or failed.
    #[error(transparent)]
    Model(ModelError),
    /// The index cannot be searched.
    #[error(transparent)]
    Index(CorpusError),
    /// No index has the name.
    #[error("no index has this name")]
    UnknownIndex,
    /// There are no indexes.
    #[error("no folder of indexes is configured; set SEMBLANCE_INDEX_DIR")]
    NoIndexes,
    /// The code panicked, which is a bug. The service keeps running.
    #[error("internal error; the log of the service has the location")]
    Panic,
    /// The response cannot be serialized, which is a bug.
    #[error("the response cannot be serialized")]
    Write(#[from] serde_json::Error),
    /// Too many requests are in progress.
    #[error("too many requests are in progress or waiting; the limit is {limit}")]
    Overloaded {
        /// Maximum number of admitted requests.
        limit: usize,
    },
    /// The requests in progress have too many bytes.
    #[error("the requests in progress have too many bytes; the limit is {limit_bytes}")]
    OutOfMemory {
        /// Maximum number of bytes of their bodies and responses.
        limit_bytes: usize,
    },
    /// Too many connections are open.
    #[error("too many connections are open; the limit is {limit}")]
    TooManyConnections {
        /// Maximum number of connections.
        limit: usize,
    },
    /// The server stops before the response is complete.
    #[error("the server is stopping")]
    Stopping,
    /// The client closed the connection.
    #[error("the client closed the connection before the response was complete")]
    Abandoned,
    /// The body did not arrive in time.
    #[error("the body did not arrive within {limit_seconds} seconds")]
    BodyTimedOut {
        /// The time limit.
        limit_seconds: u64,
    },
    /// The request took longer than the time limit.
    #[error("the request took longer than {limit_seconds} seconds")]
    TimedOut {
        /// The time limit.
        limit_seconds: u64,
    },
    /// The request has no valid API key.
    #[error("a valid API key is required, as Authorization: Bearer or x-api-key")]
    Unauthorized,
    /// The path has no route.
    #[error("no such path; /openapi.json lists the routes")]
    NotFound,
    /// The model named in the path does not exist.
    #[error("no model has this name; /v1/models lists the models")]
    UnknownModel,
    /// The path does not support the method.
    #[error("method not allowed; use {allow}")]
    MethodNotAllowed {
        /// The methods of the path, as in the header `Allow`.
        allow: &'static str,
    },
    /// A page that was not loaded from this machine calls a server on this machine.
    #[error("the header host must name this machine, or the origin of the page must be allowed")]
    ForbiddenHost,
    /// The type or encoding of the body is not supported.
    #[error("the header {header} of the request must be {expected}")]
    UnsupportedMediaType {
        /// The header with the unsupported value.
        header: &'static str,
        /// The supported values.
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
        /// The declared size, if the request declares it.
        bytes: Option<u64>,
        /// The limit.
        limit_bytes: usize,
        /// Whether the size after decompression exceeds the limit.
        is_decoded: bool,
    },
    /// A part of an HTTP event that the request needs is malformed.
    #[error("the HTTP event is malformed: {part} must be {expected}")]
    InvalidEvent {
        /// The part.
        part: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The response has too many bytes.
    #[error(
        "the response has {bytes} bytes; the limit is {limit_bytes}, and {fit} of its {items} items \
         fit"
    )]
    ReplyTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
        /// Number of vectors, scores or texts in it.
        items: usize,
        /// Number of items that fit, estimated from their mean size.
        fit: usize,
    },
}

impl ApiError {
    /// Returns the error for a response with this number of bytes and items.
    #[must_use]
    pub fn reply_too_large(bytes: usize, limit_bytes: usize, items: usize) -> Self {
        let fit = items.saturating_mul(limit_bytes) / bytes.max(1);
        Self::ReplyTooLarge { bytes, limit_bytes, items, fit }
    }
}

impl From<CorpusError> for ApiError {
    /// The path of a missing index stays in the service.
    fn from(error: CorpusError) -> Self {
        match error {
            CorpusError::NotFound { .. } => Self::UnknownIndex,
            other => Self::Index(other),
        }
    }
}

semblance::codes!(ApiError {
    Self::Panic | Self::Write(_) => Code::PANIC,
    Self::Overloaded { .. } | Self::OutOfMemory { .. } => Code::new(
        "http.overloaded",
        Fault::Overload,
        "Too many requests are in progress or waiting, or they have too many bytes. Retry after the \
         time in Retry-After.",
    ),
    Self::TooManyConnections { .. } => Code::new(
        "http.too_many_connections",
        Fault::Unavailable,
        "The server has no connection left for requests to the model. It still answers GET /health \
         and GET /metrics.",
    ),
    Self::Stopping => Code::new(
        "http.stopping",
        Fault::Unavailable,
        "The server stops, and the request did not end within --shutdown-seconds.",
    ),
    Self::Abandoned => Code::CANCELED,
    Self::BodyTimedOut { .. } => Code::new(
        "http.body_timed_out",
        Fault::RequestTimeout,
        "The body of the request did not arrive within --body-timeout-seconds.",
    ),
    Self::TimedOut { .. } => Code::new(
        "http.timed_out",
        Fault::Timeout,
        "The request took longer than the time limit of the server. Send fewer texts, or retry.",
    ),
    Self::Unauthorized => Code::new(
        "http.unauthorized",
        Fault::Unauthorized,
        "The request has no API key, or an unknown one. Send one of SEMBLANCE_API_KEY as \
         Authorization: Bearer or x-api-key.",
    ),
    Self::UnknownIndex | Self::NoIndexes => Code::INDEX_NOT_FOUND,
    Self::NotFound => Code::new(
        "http.not_found",
        Fault::NotFound,
        "The path has no route.",
    ),
    Self::UnknownModel => Code::new(
        "http.unknown_model",
        Fault::NotFound,
        "The service has no model of this name.",
    ),
    Self::MethodNotAllowed { .. } => Code::new(
        "http.method_not_allowed",
        Fault::Method,
        "The path does not support the method. The header Allow lists the supported methods.",
    ),
    Self::ForbiddenHost => Code::new(
        "http.forbidden_host",
        Fault::Forbidden,
        "A page calls a server on a loopback address under another name. If this is intended, allow the \
         origin of the page with --cors-origin.",
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
    Self::InvalidEvent { .. } => Code::new(
        "http.invalid_event",
        Fault::Syntax,
        "The event of an API gateway, a function URL or a load balancer has a malformed part that the \
         request needs: its method, its path, a header or its body. The message names the part.",
    ),
    Self::ReplyTooLarge { .. } => Code::new(
        "response.too_large",
        Fault::PayloadTooLarge,
        "The response exceeds the limit of AWS Lambda or of the load balancer. Send fewer texts. The \
         message has the number of items that fit.",
    ),
} else {
    Self::Request(error) => error.code(),
    Self::Model(error) => error.code(),
    Self::Index(error) => error.code(),
});

/// The outcome of a request, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request succeeded.
    Ok,
    /// The request was refused: it is invalid, or the service is overloaded.
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
    /// The message for the caller, with its causes. The files of the service stay in its log.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Index(CorpusError::OtherBundle { .. }) => chain(self),
            Self::Index(error) if Verdict::from_fault(error.code().fault) == Verdict::Fault => {
                "the index cannot be read; the log of the service has the file".to_owned()
            }
            _ => chain(self),
        }
    }

    /// The invalid field, if the error is about a field.
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
