//! Handles an event: runs it, writes its log line and returns its response.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use semblance::Cost;
use semblance_api::http::HttpOptions;
use semblance_api::{
    Admission, Answer, ApiError, Call, Failure, Limits, Line, Report, Verdict, parse_json,
    readable_json, warm_up_call,
};
use semblance_process::{Event, WrapBody};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::batch::{BatchFailures, ItemError, Record, list, records};
use crate::http::{HttpEvents, HttpReply};
use crate::invocation::Invocation;
use crate::message;
use crate::reply_limit::ReplyLimit;
use crate::source::EventSource;

/// Handles events with a service. It records whether an event is the first one, that of the cold
/// start.
pub struct Handler {
    admission: Admission,
    http: HttpEvents,
    reply_limit: ReplyLimit,
    is_cold: AtomicBool,
}

/// Why an event failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HandlerError(#[from] pub ApiError);

impl From<HandlerError> for Diagnostic {
    fn from(HandlerError(error): HandlerError) -> Self {
        Self { error_type: error.code().name.to_owned(), error_message: error.message() }
    }
}

/// What happens to the results of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Results {
    /// SQS accepts no results.
    Discard,
    /// The response is their list.
    Keep,
}

/// The outcome of several requests.
#[derive(Default)]
struct Batch {
    /// The result or error of each request, if results are kept.
    results: Vec<Box<RawValue>>,
    /// Their total size.
    bytes: usize,
    failures: BatchFailures,
    failed: usize,
    first_error: Option<ApiError>,
    cost: Cost,
}

impl Batch {
    fn add(&mut self, answer: Result<Answer, ApiError>, results: Results) -> Result<(), ApiError> {
        let result = match answer {
            Ok(answer) => {
                self.cost.add(&answer.report.cost);
                answer.reply.body
            }
            Err(error) => {
                self.failed += 1;
                let result = to_raw_value(&ItemError::new(&error)).map_err(ApiError::Write)?;
                self.first_error.get_or_insert(error);
                result
            }
        };
        if results == Results::Keep {
            self.bytes += result.get().len() + 1;
            self.results.push(result);
        }
        Ok(())
    }

    /// Returns the list of results as the response.
    fn list(&self) -> Result<Response, ApiError> {
        self.response(&self.results)
    }

    /// Returns the list of failed records as the response.
    fn failures(&self) -> Result<Response, ApiError> {
        self.response(&self.failures)
    }

    fn response(&self, body: &impl Serialize) -> Result<Response, ApiError> {
        Ok(Response {
            body: to_raw_value(body).map_err(ApiError::Write)?,
            report: self.cost.clone().into(),
            operation: None,
            http: None,
            failed_records: Some(self.failed),
        })
    }
}

/// A response, with the data for its log line.
struct Response {
    body: Box<RawValue>,
    report: Report,
    operation: Option<&'static str>,
    http: Option<HttpReply>,
    failed_records: Option<usize>,
}

impl Handler {
    /// Returns a handler.
    #[must_use]
    pub fn new(admission: Admission, http: HttpOptions) -> Self {
        let http = HttpEvents::new(admission.clone(), http);
        let (reply_limit, is_cold) = (ReplyLimit::default(), AtomicBool::new(true));
        Self { admission, http, reply_limit, is_cold }
    }

    /// Returns this handler with another limit on responses.
    #[must_use]
    pub fn with_reply_limit(self, reply_limit: ReplyLimit) -> Self {
        Self { reply_limit, ..self }
    }

    /// Returns this handler for HTTP events whose paths begin with a base path.
    #[must_use]
    pub fn with_base_path(self, base_path: Option<String>) -> Self {
        Self { http: self.http.with_base_path(base_path), ..self }
    }

    /// Returns this handler for HTTP events whose sender waits this long. By default, it depends on the
    /// sender.
    #[must_use]
    pub fn with_http_timeout(self, timeout: Option<Duration>) -> Self {
        Self { http: self.http.with_timeout(timeout), ..self }
    }

    /// Handles one event, given as the bytes of a JSON document, and writes one log line.
    ///
    /// An HTTP event always returns an HTTP response. An SQS event returns the list of failed records,
    /// a list the list of the results. A request that cannot end before the deadline of the invocation
    /// is refused.
    ///
    /// # Errors
    /// - [`HandlerError`] if the event is refused, the model or the code fails, or the response is
    ///   too large.
    pub async fn handle(
        &self,
        event: &[u8],
        context: Context,
    ) -> Result<Box<RawValue>, HandlerError> {
        let started = Instant::now();
        let invocation = Invocation::new(&context, started);
        let request_id = invocation.request_id;
        let mut operation = None;
        let event = &readable_json(event);
        let source = EventSource::from_event(event);
        let respond = AssertUnwindSafe(self.respond(source, event, invocation, &mut operation));
        let response = respond.catch_unwind().await.unwrap_or(Err(ApiError::Panic));
        let line = Line {
            request_id: Some(request_id),
            source: source.name(),
            operation,
            total: started.elapsed(),
            cold_start: Some(self.is_cold.swap(false, Ordering::Relaxed)),
            ..Line::default()
        };
        match response {
            Ok(response) => {
                let http = response.http.as_ref();
                Line {
                    operation: response.operation.or(operation),
                    method: http.map(|http| http.method.as_str()),
                    route: http.map(|http| http.route()),
                    status: http.map(|http| http.status),
                    failure: http.and_then(|http| http.failure.as_ref()),
                    report: Some(&response.report),
                    failed_records: response.failed_records.filter(|&failed| failed > 0),
                    response_bytes: Some(response.body.get().len()),
                    ..line
                }
                .write();
                Ok(response.body)
            }
            Err(error) => {
                Line { failure: Some(&Failure::new(&error)), ..line }.write();
                Err(error.into())
            }
        }
    }

    async fn respond(
        &self,
        source: EventSource,
        event: &[u8],
        invocation: Invocation<'_>,
        operation: &mut Option<&'static str>,
    ) -> Result<Response, ApiError> {
        match source {
            EventSource::Direct | EventSource::EventBridge => {
                let call = message::call(event, self.limits())?;
                *operation = Some(call.name());
                self.direct(call, invocation.deadline).await
            }
            EventSource::Warmer => self.direct(warm_up_call(), invocation.deadline).await,
            EventSource::Queue => {
                self.batch(records(event)?, Results::Discard, invocation).await?.failures()
            }
            EventSource::Topic => {
                let batch = self.batch(records(event)?, Results::Keep, invocation).await?;
                // Lambda repeats the asynchronous invocation of an event that fails.
                let list = batch.list();
                batch.first_error.map_or(list, Err)
            }
            EventSource::Pipe => match list(event)? {
                Some(items) => {
                    let batch = self.batch(items, Results::Keep, invocation).await?;
                    match batch.failures.is_empty() {
                        true => batch.list(),
                        false => batch.failures(),
                    }
                }
                // It is not JSON.
                None => Err(parse_json(event).err().map_or(ApiError::Panic, ApiError::from)),
            },
            EventSource::Http(payload) => {
                let limit = self.reply_limit;
                let reply = self.http.respond(payload, event, invocation, limit).await?;
                let http = reply.reply;
                Ok(Response {
                    body: reply.body,
                    report: http.info.report.clone(),
                    operation: http.destination.and_then(|destination| destination.operation),
                    http: Some(http),
                    failed_records: None,
                })
            }
        }
    }

    async fn direct(&self, call: Call, deadline: Option<Instant>) -> Result<Response, ApiError> {
        let operation = Some(call.name());
        let answer = self.admission.answer(call, deadline).await?;
        let (body, items) = (answer.reply.body, answer.reply.items);
        self.reply_limit.check(body.get().len(), items)?;
        let report = answer.report;
        Ok(Response { body, report, operation, http: None, failed_records: None })
    }

    /// Runs the request of each record. A record that fails is logged, and does not affect the others.
    async fn batch(
        &self,
        records: Vec<Record<'_>>,
        results: Results,
        invocation: Invocation<'_>,
    ) -> Result<Batch, ApiError> {
        let mut batch = Batch::default();
        for record in records {
            let mut operation = None;
            let run = AssertUnwindSafe(async {
                let call = message::call(&record.message?, self.limits())?;
                operation = Some(call.name());
                self.admission.answer(call, invocation.deadline).await
            });
            let answer = run.catch_unwind().await.unwrap_or(Err(ApiError::Panic));
            if let Err(error) = &answer {
                let id = record.message_id.as_deref();
                log_record(invocation.request_id, id, operation, &Failure::new(error));
                batch.failures.add(id);
            }
            batch.add(answer, results)?;
            self.reply_limit.check(batch.bytes, batch.results.len())?;
        }
        Ok(batch)
    }

    fn limits(&self) -> &Limits {
        self.admission.service().limits()
    }
}

/// Logs a record that failed: WARN if it was refused, ERROR if the service failed.
fn log_record(
    request_id: &str,
    message_id: Option<&str>,
    operation: Option<&'static str>,
    failure: &Failure,
) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "semblance",
                request_id,
                message_id,
                operation,
                outcome = failure.verdict.name(),
                code = failure.code,
                error = failure.error,
                "record failed"
            )
        };
    }
    match failure.verdict {
        Verdict::Fault => line!(error),
        Verdict::Ok | Verdict::Refused => line!(warn),
    }
}

/// Handles events from the Lambda Runtime API until the process is stopped. Up to
/// `AWS_LAMBDA_MAX_CONCURRENCY` events run concurrently; the default is one.
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
