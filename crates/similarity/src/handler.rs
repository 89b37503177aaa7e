//! One event to one response, with its log line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::event::{Door, Event, WrapBody};
use super::http::{HttpDoor, Told};
use super::queue::{BatchFailures, Records};
use crate::api::{Form, Limits, Operation, RequestError, parse_json};
use crate::http::{Answered, Failure, Gate, GateError, HttpOptions};
use crate::service::Usage;
use crate::telemetry::{chain, ms};

/// The most bytes of a response to an invocation.
///
/// Source: AWS Lambda developer guide, "Lambda quotas": 6 MB for each request and response; the
/// number is that of its error message "Response payload size exceeded maximum allowed payload size
/// (6291556 bytes)".
pub(super) const RESPONSE_BYTES: usize = 6_291_556;

/// Answers events with a service; counts none but the first, which is the cold start's.
pub struct Handler {
    gate: Gate,
    http: HttpDoor,
    /// The most bytes of a response.
    response_bytes: usize,
    is_cold: AtomicBool,
}

/// Why an event was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The operation failed.
    #[error(transparent)]
    Operation(#[from] GateError),
    /// The answer is larger than a response may be.
    #[error(
        "the response has {bytes} bytes, the limit is {limit_bytes}: {fit} of its {items} items fit"
    )]
    ResponseTooLarge {
        /// Its length as JSON.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
        /// Vectors, scores or texts in it.
        items: usize,
        /// How many of those a response can hold.
        fit: usize,
    },
    /// The answer cannot be written as JSON.
    #[error("the response cannot be written")]
    Write(#[from] serde_json::Error),
}

impl HandlerError {
    /// The code of a bug.
    pub const PANIC_CODE: &'static str = GateError::PANIC_CODE;
    /// The code of [`HandlerError::ResponseTooLarge`].
    pub const TOO_LARGE_CODE: &'static str = "response.too_large";

    /// The stable code, for programs; Lambda's `errorType`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Operation(error) => error.code(),
            Self::ResponseTooLarge { .. } => Self::TOO_LARGE_CODE,
            Self::Write(_) => Self::PANIC_CODE,
        }
    }

    /// Whether the caller, not the function, is at fault.
    fn is_client_fault(&self) -> bool {
        match self {
            Self::Operation(error) => error.is_client_fault(),
            Self::ResponseTooLarge { .. } => true,
            Self::Write(_) => false,
        }
    }
}

impl From<RequestError> for HandlerError {
    fn from(error: RequestError) -> Self {
        Self::Operation(GateError::Service(error.into()))
    }
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self { error_type: error.code().to_owned(), error_message: chain(&error) }
    }
}

/// A response, and what is told of it in the log.
struct Reply {
    response: Box<RawValue>,
    usage: Usage,
    /// Status of an HTTP response.
    status: Option<u16>,
    /// Why that is an error.
    failure: Option<Failure>,
    /// Records of a queue that failed.
    failed: usize,
}

impl Reply {
    fn of(response: &impl Serialize, usage: Usage) -> Result<Self, HandlerError> {
        Ok(Self {
            response: to_raw_value(response)?,
            usage,
            status: None,
            failure: None,
            failed: 0,
        })
    }
}

impl Handler {
    /// Returns a handler that has answered nothing yet.
    #[must_use]
    pub fn new(gate: Gate, http: HttpOptions) -> Self {
        let http = HttpDoor::new(gate.clone(), http);
        Self { gate, http, response_bytes: RESPONSE_BYTES, is_cold: AtomicBool::new(true) }
    }

    /// The same handler, for responses of at most so many bytes.
    #[must_use]
    pub fn with_response_bytes(self, response_bytes: usize) -> Self {
        Self { response_bytes, ..self }
    }

    /// Answers one event, given as the bytes of a JSON document, and logs one line about it.
    ///
    /// An HTTP event is answered with an HTTP response whatever comes of it, and records of a queue
    /// with those that failed.
    ///
    /// # Errors
    /// - [`HandlerError::Operation`] if the event is refused, or the model or the code fails.
    /// - [`HandlerError::ResponseTooLarge`] if the answer passes Lambda's limit.
    pub async fn handle(
        &self,
        event: &[u8],
        context: Context,
    ) -> Result<Box<RawValue>, HandlerError> {
        let started = Instant::now();
        let request_id = context.request_id.clone();
        let (door, answer) = match parse_json(event) {
            Ok(json) => {
                let door = Door::of(&json);
                (door, self.answer(door, json, event, context).await)
            }
            Err(error) => (Door::Direct, Err(error.into())),
        };
        let cold_start = self.is_cold.swap(false, Ordering::Relaxed);
        let (door, total_ms) = (door.name(), ms(started.elapsed()));
        match &answer {
            Ok(Reply { usage, status, failure, failed, response }) => tracing::info!(
                request_id,
                door,
                status,
                code = failure.as_ref().map(|failure| failure.code),
                error = failure.as_ref().map(|failure| failure.error.as_str()),
                failed = (*failed > 0).then_some(failed),
                texts = usage.texts,
                unique_texts = usage.unique_texts,
                cache_hits = usage.cache_hits,
                tokens = usage.tokens,
                padded_tokens = usage.padded_tokens,
                truncated = usage.cut.len(),
                response_bytes = response.get().len(),
                tokenise_ms = ms(usage.tokenise_time),
                infer_ms = ms(usage.infer_time),
                total_ms,
                cold_start,
                "event answered"
            ),
            Err(error) if error.is_client_fault() => tracing::warn!(
                request_id,
                door,
                code = error.code(),
                error = chain(error),
                total_ms,
                cold_start,
                "event refused"
            ),
            Err(error) => tracing::error!(
                request_id,
                door,
                code = error.code(),
                error = chain(error),
                total_ms,
                cold_start,
                "event failed"
            ),
        }
        answer.map(|reply| reply.response)
    }

    async fn answer(
        &self,
        door: Door,
        json: Value,
        event: &[u8],
        context: Context,
    ) -> Result<Reply, HandlerError> {
        match door {
            Door::Direct => self.direct(json).await,
            Door::EventBridge => {
                let (answer, usage) = self.gate.answer(Operation::WarmUp).await?;
                Reply::of(&answer, usage)
            }
            Door::Queue => self.queue(json, &context.request_id).await,
            Door::Http(payload) => {
                let limit_bytes = payload.response_bytes().min(self.response_bytes);
                let answered = self.http.answer(payload, event, context, limit_bytes).await?;
                let Told { status, answered: Answered { usage, .. }, failure, .. } = answered.told;
                let (response, status) = (answered.response, Some(status));
                Ok(Reply { response, usage, status, failure, failed: 0 })
            }
        }
    }

    async fn direct(&self, json: Value) -> Result<Reply, HandlerError> {
        let operation = Operation::decode(json, Form::Event, self.limits())?;
        let (answer, usage) = self.gate.answer(operation).await?;
        let reply = Reply::of(&answer, usage)?;
        let (bytes, limit_bytes) = (reply.response.get().len(), self.response_bytes);
        if bytes > limit_bytes {
            let items = answer.items();
            let fit = fit(items, bytes, limit_bytes);
            return Err(HandlerError::ResponseTooLarge { bytes, limit_bytes, items, fit });
        }
        Ok(reply)
    }

    /// Carries out the operation of each record; the answers go nowhere, for a queue takes none.
    async fn queue(&self, json: Value, request_id: &str) -> Result<Reply, HandlerError> {
        let (mut failures, mut sum) = (BatchFailures::default(), Usage::default());
        for record in Records::of(json)?.records {
            let answer = match record.operation(self.limits()) {
                Ok(operation) => self.gate.answer(operation).await,
                Err(error) => Err(GateError::Service(error.into())),
            };
            match answer {
                Ok((_, usage)) => sum.add(&usage),
                Err(error) => {
                    let message_id = record.message_id.as_str();
                    let (code, error) = (error.code(), chain(&error));
                    tracing::warn!(request_id, message_id, code, error, "record failed");
                    failures.add(record);
                }
            }
        }
        let failed = failures.batch_item_failures.len();
        Ok(Reply { failed, ..Reply::of(&failures, sum)? })
    }

    fn limits(&self) -> &Limits {
        self.gate.service().limits()
    }
}

/// Returns how many of the items of a response would fit, by their mean size.
pub(super) fn fit(items: usize, bytes: usize, limit_bytes: usize) -> usize {
    items.saturating_mul(limit_bytes) / bytes.max(1)
}

/// Answers events from the Lambda Runtime API until the process is stopped; as many at a time as
/// `AWS_LAMBDA_MAX_CONCURRENCY` says, else one.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub async fn run(handler: Handler) -> Result<(), lambda_runtime::Error> {
    let handler = Arc::new(handler);
    let answer = service_fn(move |event: LambdaEvent<Event>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(event.payload.as_bytes(), event.context).await }
    });
    Runtime::new(answer).layer(WrapBody).run_concurrent().await
}
