//! One event to one response, with its log line.

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};

use super::event::{Event, WrapBody};
use crate::api::{Answer, Form, Operation, RequestError, parse_json};
use crate::service::{Service, ServiceError, Usage};
use crate::telemetry::{chain, ms};

/// Answers events with a service; counts none but the first, which is the cold start's.
pub struct Handler {
    service: Service,
    is_cold: bool,
}

/// A response and what it took.
pub type Handled = (Answer, Usage);

/// Why an event was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The operation failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The code failed: a bug. The function answers the next event.
    #[error("the function panicked; its log has the place")]
    Panic,
}

impl HandlerError {
    /// The code of [`HandlerError::Panic`].
    pub const PANIC_CODE: &'static str = "internal.panic";

    /// The stable code, for programs; Lambda's `errorType`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Service(error) => error.code(),
            Self::Panic => Self::PANIC_CODE,
        }
    }
}

impl From<RequestError> for HandlerError {
    fn from(error: RequestError) -> Self {
        Self::Service(error.into())
    }
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self { error_type: error.code().to_owned(), error_message: chain(&error) }
    }
}

impl Handler {
    /// Returns a handler that has answered nothing yet.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self { service, is_cold: true }
    }

    /// Answers one event, given as the bytes of a JSON document, and logs one line about it.
    ///
    /// # Errors
    /// - [`HandlerError::Service`] if the event is refused or the model fails.
    /// - [`HandlerError::Panic`] if the code does.
    pub fn handle(&mut self, event: &[u8], request_id: &str) -> Result<Handled, HandlerError> {
        let started = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer(event)))
            .unwrap_or(Err(HandlerError::Panic));
        let cold_start = std::mem::replace(&mut self.is_cold, false);
        let total_ms = ms(started.elapsed());
        match &answer {
            Ok((_, usage)) => tracing::info!(
                request_id,
                texts = usage.texts,
                unique_texts = usage.unique_texts,
                cache_hits = usage.cache_hits,
                tokens = usage.tokens,
                padded_tokens = usage.padded_tokens,
                truncated = usage.cut.len(),
                tokenise_ms = ms(usage.tokenise_time),
                infer_ms = ms(usage.infer_time),
                total_ms,
                cold_start,
                "event answered"
            ),
            Err(HandlerError::Service(error)) if error.is_client_fault() => tracing::warn!(
                request_id,
                code = error.code(),
                error = chain(error),
                total_ms,
                cold_start,
                "event refused"
            ),
            Err(error) => tracing::error!(
                request_id,
                code = error.code(),
                error = chain(error),
                total_ms,
                cold_start,
                "event failed"
            ),
        }
        answer
    }

    fn answer(&mut self, event: &[u8]) -> Result<Handled, HandlerError> {
        let event = parse_json(event)?;
        let operation = Operation::decode(event, Form::Event, self.service.limits())?;
        Ok(self.service.answer(&operation)?)
    }
}

/// Answers events from the Lambda Runtime API until the process is stopped.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub async fn run(mut handler: Handler) -> Result<(), lambda_runtime::Error> {
    let answer = service_fn(move |event: LambdaEvent<Event>| {
        let answer = handler.handle(event.payload.as_bytes(), &event.context.request_id);
        ready(answer.map(|(response, _)| response))
    });
    Runtime::new(answer).layer(WrapBody).run().await
}
