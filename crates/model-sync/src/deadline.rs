//! The deadline of an invocation.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

/// Time reserved for writing the fetched bytes and returning the response.
const RESERVE: Duration = Duration::from_secs(2);

/// The time at which fetching must end; unlimited by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the deadline for an invocation that is stopped at `end`.
    #[must_use]
    pub fn before(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        Self(Some(Instant::now() + left.saturating_sub(RESERVE)))
    }

    /// Runs a step. Returns `None` if the deadline passes before the step completes.
    pub(crate) async fn bound<T>(self, step: impl Future<Output = T>) -> Option<T> {
        match self.0 {
            Some(end) => timeout_at(end, step).await.ok(),
            None => Some(step.await),
        }
    }
}
