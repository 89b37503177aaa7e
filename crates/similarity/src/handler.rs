//! Handles an event: runs it, writes its log line and returns its response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use semblance::Cost;
use semblance_api::http::HttpOptions;
use semblance_api::{
    Admission, ApiError, Call, Failure, Limits, Line, Report, Verdict, decode_event, parse_json,
    readable_json, warm_up_call,
};
use semblance_process::{Event, WrapBody, chain};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::http::{HttpEvents, HttpReply};
use crate::queue::{BatchFailures, Records};
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
        Self { error_type: error.code().name.to_owned(), error_message: chain(&error) }
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

    /// Handles one event, given as the bytes of a JSON document, and writes one log line.
    ///
    /// An HTTP event always returns an HTTP response. An SQS event returns the list of failed records.
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
        let request_id = context.request_id.clone();
        let mut operation = None;
        // An HTTP event is read again, with the types of its payload format.
        let event = &readable_json(event);
        let (source, response) = match parse_json(event) {
            Ok(json) => {
                let source = EventSource::from_event(&json);
                (source, self.respond(source, json, event, context, &mut operation).await)
            }
            Err(error) => (EventSource::Direct, Err(error.into())),
        };
        let line = Line {
            request_id: Some(&request_id),
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
        json: Value,
        event: &[u8],
        context: Context,
        operation: &mut Option<&'static str>,
    ) -> Result<Response, ApiError> {
        match source {
            EventSource::Direct => {
                let call = decode_event(json, self.limits())?;
                *operation = Some(call.name());
                self.direct(call).await
            }
            EventSource::EventBridge => self.direct(warm_up_call()).await,
            EventSource::Queue => self.queue(json, &context.request_id).await,
            EventSource::Http(payload) => {
                self.http.respond(payload, event, context, self.reply_limit).await.map(|reply| {
                    let http = reply.reply;
                    Response {
                        body: reply.body,
                        report: http.info.report.clone(),
                        operation: http.destination.and_then(|destination| destination.operation),
                        http: Some(http),
                        failed_records: None,
                    }
                })
            }
        }
    }

    async fn direct(&self, call: Call) -> Result<Response, ApiError> {
        let operation = Some(call.name());
        let answer = self.admission.answer(call).await?;
        let (body, items) = (answer.reply.body, answer.reply.items);
        self.reply_limit.check(body.get().len(), items)?;
        let report = answer.report;
        Ok(Response { body, report, operation, http: None, failed_records: None })
    }

    /// Runs the operation of each record. The results are discarded, because SQS accepts no response.
    async fn queue(&self, json: Value, request_id: &str) -> Result<Response, ApiError> {
        let (mut failures, mut cost) = (BatchFailures::default(), Cost::default());
        for record in Records::from_event(json)?.records {
            let mut operation = None;
            let answer = match record.call(self.limits()) {
                Ok(call) => {
                    operation = Some(call.name());
                    self.admission.answer(call).await
                }
                Err(error) => Err(error.into()),
            };
            match answer {
                Ok(answer) => cost.add(&answer.report.cost),
                Err(error) => {
                    log_record(request_id, &record.message_id, operation, &Failure::new(&error));
                    failures.add(record);
                }
            }
        }
        let failed_records = Some(failures.batch_item_failures.len());
        let body = to_raw_value(&failures).map_err(ApiError::Write)?;
        Ok(Response { body, report: cost.into(), operation: None, http: None, failed_records })
    }

    fn limits(&self) -> &Limits {
        self.admission.service().limits()
    }
}

/// Logs a record that failed: WARN if it was refused, ERROR if the service failed.
fn log_record(
    request_id: &str,
    message_id: &str,
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
