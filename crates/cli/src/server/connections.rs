//! The open connections and their limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use semblance_api::http::Reserved;
use tokio::sync::Notify;

use super::activity::{Activity, ConnectionTimeouts};

/// Connections beyond the limit, on which only routes that do not use the model are answered, so that
/// health checks succeed while every connection has a request.
pub(super) const RESERVED: usize = 16;

/// A connection without a request can be closed in favor of another after this time.
const MIN_IDLE: Duration = Duration::from_secs(1);

/// How long to wait for the end of a connection before looking for one to close again.
const RECHECK: Duration = Duration::from_millis(50);

/// The open connections and their limit.
pub(super) struct Connections {
    limit: usize,
    timeouts: ConnectionTimeouts,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    next_id: AtomicU64,
    ended: Notify,
    /// Connections without a request that were closed in favor of another.
    displaced: AtomicU64,
}

/// An open connection.
pub(super) struct Slot {
    connections: Arc<Connections>,
    id: u64,
    pub(super) activity: Arc<Activity>,
    /// Whether the connection is beyond the limit.
    is_reserved: bool,
}

impl Slot {
    /// The extension of requests on a connection beyond the limit.
    pub(super) fn reserved(&self) -> Option<Reserved> {
        self.is_reserved.then_some(Reserved { limit: self.connections.limit })
    }
}

impl Connections {
    pub(super) fn new(limit: usize, timeouts: ConnectionTimeouts) -> Self {
        Self {
            limit,
            timeouts,
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            ended: Notify::new(),
            displaced: AtomicU64::new(0),
        }
    }

    /// Number of open connections.
    pub(super) fn open(&self) -> usize {
        self.lock().len()
    }

    /// Number of connections without a request that were closed in favor of another.
    pub(super) fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    /// Waits until a connection can be served. If the limit is reached, the connection that has had no
    /// request for the longest time is closed.
    pub(super) async fn admit(self: &Arc<Self>) -> Slot {
        loop {
            if let Some(slot) = self.try_admit() {
                return slot;
            }
            // The result only says which of the two happened.
            let _ = tokio::time::timeout(RECHECK, self.ended.notified()).await;
        }
    }

    fn try_admit(self: &Arc<Self>) -> Option<Slot> {
        let mut open = self.lock();
        let is_full = open.len() >= self.limit;
        if is_full && !self.displace(&mut open) && open.len() >= self.limit + RESERVED {
            return None;
        }
        let is_reserved = open.len() >= self.limit;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new(self.timeouts));
        open.insert(id, Arc::clone(&activity));
        drop(open);
        Some(Slot { connections: Arc::clone(self), id, activity, is_reserved })
    }

    /// Closes the connection that has had no request for the longest time.
    fn displace(&self, open: &mut HashMap<u64, Arc<Activity>>) -> bool {
        let idle = open.iter().filter_map(|(&id, activity)| Some((activity.idle_since()?, id)));
        let Some((since, id)) = idle.min() else { return false };
        if Instant::now().duration_since(since) < MIN_IDLE {
            return false;
        }
        if let Some(activity) = open.remove(&id) {
            activity.close();
            self.displaced.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
        self.connections.ended.notify_one();
    }
}
