//! What a connection does, and until when it may do so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionTimeouts {
    /// From the first byte of a request, or from the start of the connection, to the end of the headers.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// How long the client can leave a response unread. It has this time for each 64 KiB.
    pub(crate) write: Duration,
}

/// Bytes that the client must read within the write timeout.
const WRITE_WINDOW_BYTES: usize = 64 * 1024;

/// How long a connection without a request stays open when the server stops, if it sent nothing.
const STOP_SILENT: Duration = Duration::from_millis(100);

/// As [`STOP_SILENT`], if it sent a part of a request.
const STOP_HEAD: Duration = Duration::from_secs(1);

/// What a connection does.
pub(super) struct Activity {
    timeouts: ConnectionTimeouts,
    closing: Notify,
    state: Mutex<State>,
}

struct State {
    is_http2: bool,
    /// Requests from the end of their headers to the last frame of their responses.
    requests: usize,
    has_answered: bool,
    /// When the connection began, or the last request ended.
    idle_since: Instant,
    /// When the first byte of the next request arrived.
    head_since: Option<Instant>,
    /// Responses that have frames left, and when one of them had its last frame taken.
    responses: usize,
    frame_taken: Instant,
    /// Since when the client reads nothing.
    blocked_since: Option<Instant>,
    /// How long it has read nothing while the last bytes were written.
    blocked: Duration,
    written_bytes: usize,
    stopping_since: Option<Instant>,
}

impl Activity {
    pub(super) fn new(timeouts: ConnectionTimeouts) -> Self {
        let now = Instant::now();
        let state = State {
            is_http2: false,
            requests: 0,
            has_answered: false,
            idle_since: now,
            head_since: None,
            responses: 0,
            frame_taken: now,
            blocked_since: None,
            blocked: Duration::ZERO,
            written_bytes: 0,
            stopping_since: None,
        };
        Self { timeouts, closing: Notify::new(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection speaks HTTP/2. It can send frames between two requests.
    pub(super) fn set_http2(&self) {
        let mut state = self.state();
        state.is_http2 = true;
        state.head_since = None;
    }

    /// The server stops.
    pub(super) fn stop(&self) {
        self.state().stopping_since.get_or_insert_with(Instant::now);
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        self.closing.notify_one();
    }

    /// Completes when [`close`](Self::close) is called.
    pub(super) async fn closed(&self) {
        self.closing.notified().await;
    }

    /// Bytes arrived.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.requests == 0 && !state.is_http2 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// The client reads nothing.
    pub(super) fn write_blocked(&self) {
        self.state().blocked_since.get_or_insert_with(Instant::now);
    }

    /// Bytes were written.
    pub(super) fn written(&self, bytes: usize) {
        let mut state = self.state();
        if let Some(since) = state.blocked_since.take() {
            state.blocked += since.elapsed();
        }
        state.written_bytes += bytes;
        if state.written_bytes >= WRITE_WINDOW_BYTES {
            (state.written_bytes, state.blocked) = (0, Duration::ZERO);
        }
    }

    /// A request begins. It ends when the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> RequestInProgress {
        let mut state = self.state();
        state.requests += 1;
        state.head_since = None;
        drop(state);
        RequestInProgress { activity: Arc::clone(self), is_response: false }
    }

    /// Since when the connection has no request; `None` if it has one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        let is_idle = state.requests == 0 && state.blocked_since.is_none();
        is_idle.then_some(state.idle_since)
    }

    /// When the connection is closed if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (state, timeouts) = (self.state(), self.timeouts);
        let unwritten =
            state.blocked_since.map(|since| since + timeouts.write.saturating_sub(state.blocked));
        let untaken =
            (state.is_http2 && state.responses > 0).then(|| state.frame_taken + timeouts.write);
        let is_idle = state.requests == 0 && state.blocked_since.is_none();
        let idle = is_idle.then(|| match (state.head_since, state.has_answered) {
            (Some(since), _) => since + timeouts.head,
            (None, false) => state.idle_since + timeouts.head,
            (None, true) => state.idle_since + timeouts.idle,
        });
        let stopping = state
            .stopping_since
            .filter(|_| is_idle)
            .map(|since| since + if state.head_since.is_some() { STOP_HEAD } else { STOP_SILENT });
        [unwritten, untaken, idle, stopping].into_iter().flatten().min()
    }
}

/// A request of a connection, or its response.
pub(super) struct RequestInProgress {
    activity: Arc<Activity>,
    is_response: bool,
}

impl RequestInProgress {
    /// The response begins.
    pub(super) fn respond(&mut self) {
        let mut state = self.activity.state();
        state.responses += 1;
        state.frame_taken = Instant::now();
        self.is_response = true;
    }

    /// The connection took a frame of the response.
    pub(super) fn frame_taken(&self) {
        self.activity.state().frame_taken = Instant::now();
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests -= 1;
        state.responses -= usize::from(self.is_response);
        state.has_answered = true;
        state.idle_since = Instant::now();
    }
}
