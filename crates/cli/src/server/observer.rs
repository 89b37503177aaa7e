//! The log line and the counters of each request, those without a response included.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use semblance_api::http::{Destination, ReplyInfo, ensure_request_id, error_status};
use semblance_api::{ApiError, Failure, Line, Report};

use super::metrics::Metrics;

/// Counts requests and writes their log lines. Cloning it is cheap.
#[derive(Clone)]
pub(super) struct Observer {
    pub(super) metrics: Arc<Metrics>,
    /// Whether the server drops the requests that are left.
    pub(super) is_ending: Arc<AtomicBool>,
}

/// A request without a response so far. If it is dropped before it has one, the client left or the
/// server ends.
struct Pending {
    observer: Observer,
    started: Instant,
    request_id: HeaderValue,
    method: Method,
    path: String,
    matched: Option<MatchedPath>,
    is_answered: bool,
}

/// Counts a request and writes its log line.
pub(super) async fn observe(
    State(observer): State<Observer>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut pending = Pending {
        observer,
        started: Instant::now(),
        request_id: ensure_request_id(&mut request),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        matched: request.extensions().get::<MatchedPath>().cloned(),
        is_answered: false,
    };
    let response = next.run(request).await;
    pending.answered(&response);
    response
}

impl Pending {
    fn answered(&mut self, response: &Response) {
        self.is_answered = true;
        let extensions = response.extensions();
        let info = extensions.get::<ReplyInfo>();
        self.write(
            extensions.get::<Destination>(),
            response.status().as_u16(),
            info.map(|info| &info.report),
            extensions.get::<Failure>(),
        );
    }

    fn write(
        &self,
        destination: Option<&Destination>,
        status: u16,
        report: Option<&Report>,
        failure: Option<&Failure>,
    ) {
        let total = self.started.elapsed();
        let route = destination
            .map(|destination| destination.route)
            .or(self.matched.as_ref().map(MatchedPath::as_str))
            .unwrap_or("other");
        let metrics = &self.observer.metrics;
        metrics.count(route, status, total, report.unwrap_or(&Report::default()));
        Line {
            request_id: self.request_id.to_str().ok(),
            source: "server",
            operation: destination.and_then(|destination| destination.operation),
            method: Some(method_name(&self.method)),
            route: Some(route),
            status: Some(status),
            report,
            failure,
            total,
            ..Line::default()
        }
        .write();
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let error = match self.observer.is_ending.load(Ordering::Relaxed) {
            true => ApiError::Stopping,
            false => ApiError::Abandoned,
        };
        let status = error_status(&error, &self.path).as_u16();
        self.write(None, status, None, Some(&Failure::new(&error)));
    }
}

/// Returns the name of a standard method, otherwise `other`. A client can send a method of any length.
fn method_name(method: &Method) -> &str {
    let standard = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::CONNECT,
        Method::TRACE,
    ];
    if standard.contains(method) { method.as_str() } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_method_is_bounded() {
        assert_eq!(method_name(&Method::POST), "POST");
        let long = Method::from_bytes("X".repeat(10_000).as_bytes()).unwrap();
        assert_eq!(method_name(&long), "other");
    }
}
