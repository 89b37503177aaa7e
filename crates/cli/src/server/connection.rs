//! Serves one connection: HTTP/1.1, or HTTP/2 with prior knowledge.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use semblance_api::http::Reserved;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::activity::Activity;
use super::connections::Slot;
use super::stream::Stream;
use super::tracked_body::TrackedBody;

/// Requests of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 64;

/// Bytes of bodies that an HTTP/2 connection buffers before they are read.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// As [`HTTP2_CONNECTION_WINDOW_BYTES`], for one request.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes of responses that an HTTP/2 connection buffers for one request.
const HTTP2_SEND_BYTES: usize = 128 * 1024;

/// Serves a connection until its end, a time limit, or [`Activity::close`]. Once `stopping` is true, it
/// ends after the requests that it has.
pub(super) async fn serve(
    tcp: TcpStream,
    slot: Slot,
    router: Router,
    max_header_bytes: usize,
    stopping: watch::Receiver<bool>,
) {
    let activity = Arc::clone(&slot.activity);
    let reserved = slot.reserved();
    let stopped = || {
        let (activity, mut stopping) = (Arc::clone(&activity), stopping.clone());
        async move {
            // An error means that the server is gone.
            let _ = stopping.wait_for(|&stopping| stopping).await;
            activity.stop();
        }
    };
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request: hyper::Request<Incoming>| {
            let (router, activity) = (router.clone(), Arc::clone(&activity));
            async move { Ok::<_, Infallible>(respond(router, request, &activity, reserved).await) }
        }
    });
    let connection = async {
        let recognized = tokio::select! {
            recognized = Stream::recognize(tcp, Arc::clone(&activity)) => recognized,
            never = async { stopped().await; pending().await } => never,
        };
        let Ok((stream, is_http2)) = recognized else { return };
        let io = TokioIo::new(stream);
        // Errors of a connection are errors of the client, and the response has been logged.
        macro_rules! run {
            ($connection:expr) => {{
                let mut connection = pin!($connection);
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = stopped() => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            }};
        }
        if is_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(u32::try_from(max_header_bytes).unwrap_or(u32::MAX))
                .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
                .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
                .max_send_buf_size(HTTP2_SEND_BYTES);
            run!(builder.serve_connection(io, service));
        } else {
            let mut builder = http1::Builder::new();
            // `Activity` has the time limits.
            builder
                .header_read_timeout(None::<Duration>)
                .max_header_size(max_header_bytes)
                .max_buf_size(max_header_bytes.max(8192));
            run!(builder.serve_connection(io, service));
        }
    };
    watch_connection(&activity, connection).await;
    drop(slot);
}

/// Runs a connection until its deadline.
async fn watch_connection(activity: &Activity, connection: impl Future<Output = ()>) {
    let (mut connection, mut closed) = (pin!(connection), pin!(activity.closed()));
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() || closed.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(());
        }
        // The deadline depends on what the connection just did.
        let Some(deadline) = activity.deadline() else { return Poll::Pending };
        timer.as_mut().reset(deadline.into());
        timer.as_mut().poll(context)
    })
    .await;
}

async fn respond(
    router: Router,
    request: hyper::Request<Incoming>,
    activity: &Arc<Activity>,
    reserved: Option<Reserved>,
) -> Response<TrackedBody> {
    let mut in_progress = activity.begin();
    let mut request: Request = request.map(Body::new);
    if let Some(reserved) = reserved {
        request.extensions_mut().insert(reserved);
    }
    // The error type of a router is `Infallible`.
    let Ok(response) = router.oneshot(request).await;
    in_progress.respond();
    response.map(|body| TrackedBody::new(body, in_progress))
}
