//! The log line of a request or an event. It has the same fields for every source of requests.

use std::time::Duration;

use semblance_process::{chain, ms};
use tracing::Level;

use crate::error::{ApiError, Verdict};
use crate::operation::Report;

/// A failed request, for logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: &'static str,
    /// The message with its causes.
    pub error: String,
    /// Whether the request was refused or the service failed.
    pub verdict: Verdict,
}

impl Failure {
    /// Returns the failure for an error.
    #[must_use]
    pub fn new(error: &ApiError) -> Self {
        let code = error.code();
        let verdict = Verdict::from_fault(code.fault);
        Self { code: code.name, error: chain(error), verdict }
    }
}

/// The log line of a request or an event.
#[derive(Clone, Debug, Default)]
pub struct Line<'a> {
    /// The id of the request.
    pub request_id: Option<&'a str>,
    /// The source of the request: `direct`, `http`, `eventbridge`, `sqs`, `sns`, `pipe`, `warmer`, or
    /// `server` for `semblance serve`. The log field is `door`.
    pub source: &'static str,
    /// The operation, if it was recognized.
    pub operation: Option<&'static str>,
    /// The HTTP method.
    pub method: Option<&'a str>,
    /// The route, as a pattern.
    pub route: Option<&'a str>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The cost of the request.
    pub report: Option<&'a Report>,
    /// The failure, if the request failed.
    pub failure: Option<&'a Failure>,
    /// Number of records or list items that failed.
    pub failed_records: Option<usize>,
    /// Size of the response in bytes.
    pub response_bytes: Option<usize>,
    /// Time from the request to the response.
    pub total: Duration,
    /// Whether it is the first event of the process; `None` outside the function.
    pub cold_start: Option<bool>,
}

/// Writes a line. The level is an argument of the macro, because `tracing` requires a constant.
macro_rules! line {
    ($level:ident, $line:expr, $verdict:expr, $message:expr) => {{
        let line = $line;
        let cost = line.report.map(|report| &report.cost);
        let tokenize_ms = cost.map(|cost| ms(cost.tokenize_time));
        tracing::event!(
            target: "semblance",
            Level::$level,
            request_id = line.request_id,
            door = line.source,
            operation = line.operation,
            method = line.method,
            route = line.route,
            status = line.status,
            outcome = $verdict.name(),
            code = line.failure.map(|failure| failure.code),
            error = line.failure.map(|failure| failure.error.as_str()),
            failed = line.failed_records,
            texts = cost.map(|cost| cost.texts),
            unique_texts = cost.map(|cost| cost.unique_texts),
            cache_hits = cost.map(|cost| cost.cache_hits),
            tokens = cost.map(|cost| cost.tokens),
            padded_tokens = cost.map(|cost| cost.padded_tokens),
            truncated = cost.map(|cost| cost.truncated.len()),
            response_bytes = line.response_bytes,
            queue_ms = cost.map(|cost| ms(cost.queue_time)),
            tokenize_ms,
            // The name before version 0.2, kept for one version.
            tokenise_ms = tokenize_ms,
            infer_ms = cost.map(|cost| ms(cost.infer_time)),
            total_ms = ms(line.total),
            cold_start = line.cold_start,
            "{}",
            $message
        )
    }};
}

impl Line<'_> {
    /// Writes the line at level INFO if the request succeeded, WARN if it was refused, or ERROR if the
    /// service failed.
    pub fn write(&self) {
        let verdict = self.failure.map_or(Verdict::Ok, |failure| failure.verdict);
        match verdict {
            Verdict::Ok => line!(INFO, self, verdict, "event answered"),
            Verdict::Refused => line!(WARN, self, verdict, "event refused"),
            Verdict::Fault => line!(ERROR, self, verdict, "event failed"),
        }
    }
}
