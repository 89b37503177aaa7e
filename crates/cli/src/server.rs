//! The HTTP server of `semblance serve`: routes, metrics and graceful shutdown.

mod metrics;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use semblance::{Code, Fault};
use semblance_api::http::{
    Destination, HttpOptions, REQUEST_ID, ReplyInfo, error_response, router,
};
use semblance_api::{Admission, AdmissionLimits, ApiError, Failure, Line, Report, Service};

use metrics::Metrics;

/// Options of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    /// The address to listen on. Port 0 selects a free port.
    pub(crate) address: SocketAddr,
    /// Limits of admission control.
    pub(crate) admission: AdmissionLimits,
    /// Options of the router.
    pub(crate) http: HttpOptions,
}

/// Why a server stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Threads, signals or the socket failed.
    #[error("the server failed")]
    Io(#[from] io::Error),
}

semblance::codes!(ServerError {
    Self::Bind { .. } => Code::new(
        "server.address_unavailable",
        Fault::Start,
        "The server cannot listen on the address.",
    ),
    Self::Io(_) => Code::new(
        "server.failed",
        Fault::Internal,
        "Threads, signals or the socket of the server failed.",
    ),
});

/// Serves requests until `SIGTERM` or `SIGINT`. Then it stops accepting connections, completes the
/// requests in progress, and returns.
///
/// # Errors
/// - [`ServerError::Bind`] if the server cannot listen on the address.
/// - [`ServerError::Io`] if threads, signals or the socket fail.
pub(crate) fn serve(service: Service, options: ServerOptions) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // This thread reads and writes. Operations run on the blocking threads.
        .worker_threads(1)
        .max_blocking_threads(options.admission.running.get())
        .enable_all()
        .build()?;
    runtime.block_on(listen(Arc::new(service), options))
}

async fn listen(service: Arc<Service>, options: ServerOptions) -> Result<(), ServerError> {
    let ServerOptions { address, admission: limits, http } = options;
    let bind = |source| ServerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let url = format!("http://{}", listener.local_addr()?);
    let stopped = stopped()?;
    let admission = Admission::queued(service, limits);
    let metrics = Arc::new(Metrics::new(admission.clone()));
    let observer = RequestObserver { metrics: Arc::clone(&metrics), timeout: limits.timeout };
    let router = router(admission, http)
        .route("/metrics", get(async move || metrics.response()))
        .layer(from_fn_with_state(observer, observe));
    tracing::info!(target: "semblance", url, "listening");
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
    Ok(served.await?)
}

/// Returns a future that completes on the first `SIGTERM` or `SIGINT`.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(target: "semblance", "stopping");
    })
}

#[derive(Clone)]
struct RequestObserver {
    metrics: Arc<Metrics>,
    timeout: Duration,
}

/// Added to the time limit of an operation. The sum limits requests whose body arrives too slowly.
const READ_GRACE: Duration = Duration::from_secs(5);

/// Counts a request and writes its log line.
async fn observe(
    State(observer): State<RequestObserver>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let limit = observer.timeout + READ_GRACE;
    let response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => error_response(&ApiError::TimedOut { limit_seconds: limit.as_secs() }, &path),
    };
    let (total, status) = (started.elapsed(), response.status().as_u16());
    let extensions = response.extensions();
    let destination = extensions.get::<Destination>();
    let route = destination
        .map(|destination| destination.route)
        .or(matched.as_ref().map(MatchedPath::as_str))
        .unwrap_or("other");
    let info = extensions.get::<ReplyInfo>();
    let report = info.map(|info| &info.report);
    observer.metrics.count(route, status, total, report.unwrap_or(&Report::default()));
    Line {
        request_id: response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()),
        source: "server",
        operation: destination.and_then(|destination| destination.operation),
        method: Some(method.as_str()),
        route: Some(route),
        status: Some(status),
        report,
        failure: extensions.get::<Failure>(),
        total,
        ..Line::default()
    }
    .write();
    response
}
