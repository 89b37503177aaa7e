//! When the function's time is up.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

/// Time that is kept back to end in order: to write what came, and to answer.
const RESERVE: Duration = Duration::from_secs(2);

/// The end of the time for reading, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the deadline of a function that is stopped at `end`.
    #[must_use]
    pub fn before(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        Self(Some(Instant::now() + left.saturating_sub(RESERVE)))
    }

    /// Runs a step; none if the time is up before it ends.
    pub(crate) async fn bound<T>(self, step: impl Future<Output = T>) -> Option<T> {
        match self.0 {
            Some(end) => timeout_at(end, step).await.ok(),
            None => Some(step.await),
        }
    }
}
