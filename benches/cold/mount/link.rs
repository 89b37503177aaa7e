//! The pace of a slow mount.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::args::Args;

/// A connection with a latency and a bandwidth limit.
pub(super) struct Link {
    latency: Duration,
    bytes_per_s: f64,
    /// When it has let through all that was asked for.
    free_at: Mutex<Instant>,
}

impl Link {
    pub(super) fn of(args: &Args) -> Self {
        Self {
            latency: Duration::from_secs_f64(args.mount_latency_ms / 1e3),
            bytes_per_s: args.mount_mib_s * f64::from(1 << 20),
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// When the answer to a request without bytes is due: no bytes are in its way.
    pub(super) fn due_empty(&self, arrived: Instant) -> Instant {
        arrived + self.latency
    }

    /// When the answer to a request for bytes is due.
    pub(super) fn due(&self, arrived: Instant, bytes: usize) -> Instant {
        let transfer = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = arrived.max(*free_at) + transfer;
        free_at.max(self.due_empty(arrived))
    }
}
