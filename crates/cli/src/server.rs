//! `semblance serve`: the router of [`crate::http`] on a socket, with metrics and an end.

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

use crate::http::{
    Answered, Dialect, Failure, Gate, GateError, GateLimits, HttpError, HttpOptions, REQUEST_ID,
    router,
};
use crate::service::{Service, Usage};
use crate::telemetry::ms;

use metrics::Metrics;

/// What a server does with its service.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where it listens; port 0 is any free one.
    pub address: SocketAddr,
    /// How many requests go in.
    pub gate: GateLimits,
    /// How requests are read.
    pub http: HttpOptions,
}

/// Why a server stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Threads, signals or the socket failed.
    #[error("the server failed")]
    Io(#[from] io::Error),
}

impl ServerError {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "server.address_unavailable",
            Self::Io(_) => "server.failed",
        }
    }
}

/// Answers requests until the process is told to stop (`SIGTERM` or `SIGINT`); then it takes no more
/// connections, ends what is under way, and returns.
///
/// # Errors
/// - [`ServerError::Bind`] if the address cannot be listened on.
/// - [`ServerError::Io`] if threads, signals or the socket fail.
pub fn serve(service: Service, options: ServerOptions) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Requests are read and written here; they are carried out on the threads below.
        .worker_threads(1)
        .max_blocking_threads(options.gate.running.get())
        .enable_all()
        .build()?;
    runtime.block_on(listen(Arc::new(service), options))
}

async fn listen(service: Arc<Service>, options: ServerOptions) -> Result<(), ServerError> {
    let ServerOptions { address, gate: limits, http } = options;
    let bind = |source| ServerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let url = format!("http://{}", listener.local_addr()?);
    let stopped = stopped()?;
    let gate = Gate::queued(service, limits);
    let metrics = Arc::new(Metrics::new(gate.clone()));
    let watched = Watched { metrics: Arc::clone(&metrics), timeout: limits.timeout };
    let router = router(gate, http)
        .route("/metrics", get(async move || metrics.response()))
        .layer(from_fn_with_state(watched, watch));
    tracing::info!(target: "semblance", url, "listening");
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
    Ok(served.await?)
}

/// Returns what is over once the process is told to stop.
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
struct Watched {
    metrics: Arc<Metrics>,
    timeout: Duration,
}

/// Longer than the gate's own limit, so that it only ends who does not send the request.
const READ_GRACE: Duration = Duration::from_secs(5);

/// Counts a request and logs one line about it.
async fn watch(State(watched): State<Watched>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let dialect = Dialect::of(request.uri().path());
    let limit = watched.timeout + READ_GRACE;
    let response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let error = GateError::TimedOut { limit_seconds: limit.as_secs() };
            HttpError::from(error).response(dialect)
        }
    };
    let (elapsed, status) = (started.elapsed(), response.status().as_u16());
    let nothing = Usage::default();
    let usage =
        response.extensions().get::<Answered>().map_or(&nothing, |answered| &answered.usage);
    let failure = response.extensions().get::<Failure>();
    watched.metrics.count(route, status, elapsed, usage);
    let request_id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    tracing::info!(
        target: "semblance",
        request_id,
        method = method.as_str(),
        route,
        status,
        texts = usage.texts,
        unique_texts = usage.unique_texts,
        cache_hits = usage.cache_hits,
        tokens = usage.tokens,
        padded_tokens = usage.padded_tokens,
        truncated = usage.cut.len(),
        queue_ms = ms(usage.queue_time),
        tokenise_ms = ms(usage.tokenise_time),
        infer_ms = ms(usage.infer_time),
        total_ms = ms(elapsed),
        code = failure.map(|failure| failure.code),
        error = failure.map(|failure| failure.error.as_str()),
        "request answered"
    );
    response
}
