//! The way from a request to the service: how many go in at a time, how many may wait, how long.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::api::{Answer, Operation};
use crate::service::{Service, ServiceError, Usage};

/// A service behind its gate; cheap to clone.
#[derive(Clone)]
pub struct Gate {
    service: Arc<Service>,
    queue: Option<Arc<Queue>>,
}

/// How many requests go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Operations that run at a time, each on a thread of its own.
    pub running: NonZeroUsize,
    /// Operations that run or wait; one more is refused.
    pub admitted: NonZeroUsize,
    /// How long one may take, waiting included.
    pub timeout: Duration,
}

struct Queue {
    limits: GateLimits,
    running: Arc<Semaphore>,
    admitted: AtomicUsize,
}

/// Why an operation has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The operation failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The code failed: a bug. The next operation is answered.
    #[error("the service panicked; its log has the place")]
    Panic,
    /// Too many requests wait already.
    #[error("{limit} requests are being answered or wait already, the limit is {limit}")]
    Overloaded {
        /// Requests that may be there.
        limit: usize,
    },
    /// The answer did not come in time.
    #[error("the answer took longer than {limit_seconds} seconds")]
    TimedOut {
        /// How long it may take.
        limit_seconds: u64,
    },
}

impl GateError {
    /// The code of [`GateError::Panic`].
    pub const PANIC_CODE: &'static str = "internal.panic";

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Service(error) => error.code(),
            Self::Panic => Self::PANIC_CODE,
            Self::Overloaded { .. } => "http.overloaded",
            Self::TimedOut { .. } => "http.timed_out",
        }
    }

    /// Whether the request is at fault.
    #[must_use]
    pub fn is_client_fault(&self) -> bool {
        matches!(self, Self::Service(error) if error.is_client_fault())
    }
}

impl Gate {
    /// Returns a gate that runs each operation at once on the caller's thread: for a function, which
    /// is given one event at a time.
    #[must_use]
    pub fn inline(service: Arc<Service>) -> Self {
        Self { service, queue: None }
    }

    /// Returns a gate that runs operations on threads beside the caller's, within limits.
    #[must_use]
    pub fn queued(service: Arc<Service>, limits: GateLimits) -> Self {
        let running = Arc::new(Semaphore::new(limits.running.get()));
        let queue = Queue { limits, running, admitted: AtomicUsize::new(0) };
        Self { service, queue: Some(Arc::new(queue)) }
    }

    /// The service behind it.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Operations that run or wait.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.admitted.load(Ordering::Relaxed))
    }

    /// Carries out an operation; the time it waited to go in counts as queue time.
    ///
    /// # Errors
    /// - [`GateError::Service`] if the request is refused or the model fails.
    /// - [`GateError::Panic`] if the code does.
    /// - [`GateError::Overloaded`] if too many run or wait.
    /// - [`GateError::TimedOut`] if it takes too long; it runs to its end all the same, and its place
    ///   is taken until then.
    pub async fn answer(&self, operation: Operation) -> Result<(Answer, Usage), GateError> {
        let Some(queue) = &self.queue else { return run(&self.service, &operation) };
        let entered = Instant::now();
        let place = Place::take(queue)?;
        let service = Arc::clone(&self.service);
        let (queue, timeout) = (Arc::clone(queue), queue.limits.timeout);
        let answer = async move {
            // The semaphore is never closed, so there is a permit.
            let permit = Arc::clone(&queue.running).acquire_owned().await;
            let queue_time = entered.elapsed();
            let answer = tokio::task::spawn_blocking(move || {
                let answer = run(&service, &operation);
                drop((permit, place));
                answer
            });
            let (answer, mut usage) = answer.await.map_err(|_| GateError::Panic)??;
            usage.queue_time += queue_time;
            Ok((answer, usage))
        };
        tokio::time::timeout(timeout, answer)
            .await
            .map_err(|_| GateError::TimedOut { limit_seconds: timeout.as_secs() })?
    }
}

/// A place among those that are admitted; given back when dropped.
struct Place(Arc<Queue>);

impl Place {
    fn take(queue: &Arc<Queue>) -> Result<Self, GateError> {
        let limit = queue.limits.admitted.get();
        let one_more = |admitted: usize| (admitted < limit).then_some(admitted + 1);
        match queue.admitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Self(Arc::clone(queue))),
            Err(_) => Err(GateError::Overloaded { limit }),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(service: &Service, operation: &Operation) -> Result<(Answer, Usage), GateError> {
    let answer = catch_unwind(AssertUnwindSafe(|| service.answer(operation)));
    Ok(answer.map_err(|_| GateError::Panic)??)
}
