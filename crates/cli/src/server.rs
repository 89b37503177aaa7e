//! The HTTP server of `semblance serve`: connections, routes, metrics and graceful shutdown.
//!
//! ADR 0011 explains why the server has its own connection loop.

mod activity;
mod connection;
mod connections;
mod descriptors;
mod metrics;
mod observer;
mod stream;
mod tracked_body;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_request};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use semblance::{Code, Fault};
use semblance_api::http::{HttpOptions, remove_redundant_slashes, router};
use semblance_api::{Admission, AdmissionLimits, Service};
use semblance_process::DroppedLines;

pub(crate) use activity::ConnectionTimeouts;
use connections::Connections;
pub(crate) use descriptors::connections;
use metrics::{Current, Metrics};
use observer::{Observer, observe};

/// Options of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    /// The address to listen on. Port 0 selects a free port.
    pub(crate) address: SocketAddr,
    /// Limits of admission control.
    pub(crate) admission: AdmissionLimits,
    /// Options of the router.
    pub(crate) http: HttpOptions,
    /// Maximum number of connections.
    pub(crate) connections: usize,
    /// Maximum size of the headers of a request in bytes.
    pub(crate) header_bytes: usize,
    /// Time limits of a connection.
    pub(crate) timeouts: ConnectionTimeouts,
    /// Within this time of the first signal, the server ends.
    pub(crate) shutdown: Duration,
    /// Number of log lines that were dropped.
    pub(crate) dropped_lines: DroppedLines,
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
    /// The limit on file descriptors is too low.
    #[error("the limit on file descriptors is {limit}; the server needs at least {minimum}")]
    Descriptors {
        /// The limit.
        limit: usize,
        /// The smallest limit with which the server starts.
        minimum: usize,
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
    Self::Descriptors { .. } => Code::new(
        "server.too_few_descriptors",
        Fault::Start,
        "The limit on file descriptors (`ulimit -n`) is too low for a server.",
    ),
    Self::Io(_) => Code::new(
        "server.failed",
        Fault::Internal,
        "Threads, signals or the socket of the server failed.",
    ),
});

/// Threads that read and write. Operations run on the blocking threads.
const IO_THREADS: usize = 2;

/// Size of the stack of a thread. Nothing recurses deeper than JSON of 128 levels.
const STACK_BYTES: usize = 1 << 20;

/// The part of the time of the shutdown that is left for the passes in progress.
const PASS: Duration = Duration::from_millis(500);

/// How long to wait after the operating system failed to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves requests until `SIGTERM` or `SIGINT`. Then it stops accepting connections, completes the
/// requests in progress, and returns within the time of the shutdown. A second signal ends it at once.
///
/// # Errors
/// - [`ServerError::Bind`] if the server cannot listen on the address.
/// - [`ServerError::Io`] if threads, signals or the socket fail.
pub(crate) fn serve(service: Service, options: ServerOptions) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .max_blocking_threads(options.admission.admitted.get())
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let pass = PASS.min(options.shutdown / 2);
    let ended = runtime.block_on(listen(Arc::new(service), options));
    // Canceled operations end after their pass. The process does not wait longer.
    runtime.shutdown_timeout(pass);
    ended
}

async fn listen(service: Arc<Service>, options: ServerOptions) -> Result<(), ServerError> {
    let address = options.address;
    let bind = |source| ServerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut signals = Signals::new()?;
    let admission = Admission::queued(service, options.admission);
    let connections = Arc::new(Connections::new(options.connections, options.timeouts));
    let current = Current {
        admission: admission.clone(),
        connections: Arc::clone(&connections),
        dropped_lines: options.dropped_lines,
    };
    let metrics = Arc::new(Metrics::new(current));
    let is_ending = Arc::<AtomicBool>::default();
    let observer = Observer { metrics: Arc::clone(&metrics), is_ending: Arc::clone(&is_ending) };
    let routes = router(admission, options.http)
        .route("/metrics", get(async move || metrics.response()))
        .layer(from_fn_with_state(observer, observe));
    // The layers of a router run after it has selected the route, so this one needs its own router.
    let router =
        Router::new().fallback_service(routes).layer(map_request(remove_redundant_slashes));
    let (stop, stopping) = watch::channel(false);
    let mut server = Server {
        listener: &listener,
        connections,
        router,
        header_bytes: options.header_bytes,
        stopping,
        tasks: JoinSet::new(),
    };
    tracing::info!(target: "semblance", url, connections = options.connections, "listening");
    tokio::select! {
        never = server.accept() => match never {},
        () = signals.next() => {}
    }
    let mut tasks = server.tasks;
    drop(listener);
    tracing::info!(target: "semblance", "stopping");
    // An error means that there are no connections.
    let _ = stop.send(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    let is_drained = tokio::select! {
        () = drained => true,
        () = tokio::time::sleep(options.shutdown - PASS.min(options.shutdown / 2)) => false,
        () = signals.next() => false,
    };
    if !is_drained {
        is_ending.store(true, Ordering::Relaxed);
        tracing::warn!(target: "semblance", connections = tasks.len(), "connections dropped");
        tasks.shutdown().await;
    }
    Ok(())
}

/// The signals that stop the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

struct Server<'a> {
    listener: &'a TcpListener,
    connections: Arc<Connections>,
    router: Router,
    header_bytes: usize,
    stopping: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Server<'_> {
    /// Accepts and serves connections.
    async fn accept(&mut self) -> std::convert::Infallible {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // Frees the memory of the tasks that ended.
                Some(_) = self.tasks.join_next() => continue,
            };
            match accepted {
                Ok((tcp, _)) => {
                    // Small responses are sent at once. A connection that is already closed fails.
                    let _ = tcp.set_nodelay(true);
                    let slot = self.connections.admit().await;
                    self.tasks.spawn(connection::serve(
                        tcp,
                        slot,
                        self.router.clone(),
                        self.header_bytes,
                        self.stopping.clone(),
                    ));
                }
                Err(error) => {
                    let error = error.to_string();
                    tracing::warn!(target: "semblance", error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}
