//! Handles an event: copies a bundle or an index and writes a log line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use semblance::Code;
use semblance_process::{Event, WrapBody, chain, ms};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::deadline::Deadline;
use crate::error::SyncError;
use crate::index_request::IndexRequest;
use crate::index_syncer::IndexSyncer;
use crate::syncer::{SyncReport, Syncer};
use crate::version::SyncRequest;

/// Handles events: those that name an index with one syncer, all others with the other.
#[derive(Clone, Debug)]
pub struct Handler {
    syncer: Syncer,
    indexes: IndexSyncer,
}

/// Which kind of event it is.
#[derive(Deserialize)]
struct Kind {
    index: Option<IgnoredAny>,
}

/// Why an event failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The bundle or index was not copied.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The code panicked, which is a bug. The function keeps running.
    #[error("internal error; the log of the function has the location")]
    Panic,
}

semblance::codes!(HandlerError {
    Self::Panic => Code::PANIC,
} else {
    Self::Sync(error) => error.code(),
});

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self { error_type: error.code().name.to_owned(), error_message: chain(&error) }
    }
}

impl Handler {
    /// Returns a handler.
    #[must_use]
    pub fn new(syncer: Syncer, indexes: IndexSyncer) -> Self {
        Self { syncer, indexes }
    }

    /// Handles one event. Writes one log line for it, and a warning for each failure to clean up.
    ///
    /// # Errors
    /// - [`HandlerError::Sync`] if the event is invalid, or the bundle or index is not copied.
    /// - [`HandlerError::Panic`] if the code panics.
    pub async fn handle(
        &self,
        event: &[u8],
        request_id: &str,
        deadline: Deadline,
    ) -> Result<SyncReport, HandlerError> {
        let started = Instant::now();
        // Boxed, because the nested futures of the SDK and the runtime exceed the compiler's recursion
        // limit.
        let answer = AssertUnwindSafe(self.answer(event, deadline).boxed())
            .catch_unwind()
            .await
            .unwrap_or(Err(HandlerError::Panic));
        let total_ms = ms(started.elapsed());
        match &answer {
            Ok(report) => {
                for error in &report.leftovers {
                    let (code, error) = (error.code().name, chain(error));
                    tracing::warn!(target: "semblance", request_id, code, error, "cleanup failed");
                }
                tracing::info!(
                    target: "semblance",
                    request_id,
                    path = report.path,
                    copied = report.copied,
                    repaired = report.repaired.as_ref().map(Vec::len),
                    bytes = report.bytes,
                    resumed_bytes = report.resumed_bytes,
                    megabytes_per_second = report.megabytes_per_second,
                    pruned = report.pruned.len(),
                    total_ms,
                    "event answered"
                );
            }
            Err(error) => {
                let (code, error) = (error.code().name, chain(error));
                tracing::error!(target: "semblance", request_id, code, error, total_ms, "event failed");
            }
        }
        answer
    }

    async fn answer(&self, event: &[u8], deadline: Deadline) -> Result<SyncReport, HandlerError> {
        // An invalid event has no kind; the decoder reports why.
        if serde_json::from_slice::<Kind>(event).is_ok_and(|kind| kind.index.is_some()) {
            let request = IndexRequest::decode(event).map_err(SyncError::from)?;
            return Ok(self.indexes.sync(&request, deadline).await?);
        }
        let request = SyncRequest::decode(event).map_err(SyncError::from)?;
        Ok(self.syncer.sync(&request, deadline).await?)
    }
}

/// Handles events from the Lambda Runtime API until the process is stopped.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub async fn run(handler: Handler) -> Result<(), lambda_runtime::Error> {
    let handler = Arc::new(handler);
    let answer = service_fn(move |event: LambdaEvent<Event>| {
        let handler = Arc::clone(&handler);
        async move {
            let deadline = Deadline::before(event.context.deadline());
            handler.handle(event.payload.as_bytes(), &event.context.request_id, deadline).await
        }
    });
    Runtime::new(answer).layer(WrapBody).run().await
}
