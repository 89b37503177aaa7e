//! Admission control: limits how many requests run and wait, and for how long.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::operation::{Answer, Call};
use crate::service::Service;

/// A service with admission control. Cloning it is cheap.
#[derive(Clone)]
pub struct Admission {
    service: Arc<Service>,
    queue: Option<Arc<Queue>>,
}

/// Limits of admission control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Maximum number of operations that run concurrently, each on its own thread.
    pub running: NonZeroUsize,
    /// Maximum number of operations that run or wait. Further ones are refused.
    pub admitted: NonZeroUsize,
    /// Time limit of an operation, including the time in the queue.
    pub timeout: Duration,
}

struct Queue {
    limits: AdmissionLimits,
    running: Arc<Semaphore>,
    admitted: AtomicUsize,
}

impl Admission {
    /// Returns an admission control that runs each operation immediately on the caller's thread. Use
    /// it for a function that receives one event at a time.
    #[must_use]
    pub fn inline(service: Arc<Service>) -> Self {
        Self { service, queue: None }
    }

    /// Returns an admission control that runs operations on other threads, within limits.
    #[must_use]
    pub fn queued(service: Arc<Service>, limits: AdmissionLimits) -> Self {
        let running = Arc::new(Semaphore::new(limits.running.get()));
        let queue = Queue { limits, running, admitted: AtomicUsize::new(0) };
        Self { service, queue: Some(Arc::new(queue)) }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Number of operations that run or wait.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.admitted.load(Ordering::Relaxed))
    }

    /// Runs a call. The time until it starts counts as queue time.
    ///
    /// # Errors
    /// - [`ApiError::Request`], [`ApiError::Model`] if the request is refused or the model fails.
    /// - [`ApiError::Panic`] if the code panics.
    /// - [`ApiError::Overloaded`] if too many calls run or wait.
    /// - [`ApiError::TimedOut`] if it takes too long. It still runs to completion, and counts as
    ///   admitted until then.
    pub async fn answer(&self, call: Call) -> Result<Answer, ApiError> {
        let Some(queue) = &self.queue else { return run(&self.service, call) };
        let entered = Instant::now();
        let ticket = Ticket::new(queue)?;
        let service = Arc::clone(&self.service);
        let (queue, timeout) = (Arc::clone(queue), queue.limits.timeout);
        let answer = async move {
            // The semaphore is never closed, so this is always a permit.
            let permit = Arc::clone(&queue.running).acquire_owned().await;
            let queue_time = entered.elapsed();
            let answer = tokio::task::spawn_blocking(move || {
                let answer = run(&service, call);
                drop((permit, ticket));
                answer
            });
            let mut answer = answer.await.map_err(|_| ApiError::Panic)??;
            answer.report.cost.queue_time += queue_time;
            Ok(answer)
        };
        tokio::time::timeout(timeout, answer)
            .await
            .map_err(|_| ApiError::TimedOut { limit_seconds: timeout.as_secs() })?
    }
}

/// Counts one admitted operation until it is dropped.
struct Ticket(Arc<Queue>);

impl Ticket {
    fn new(queue: &Arc<Queue>) -> Result<Self, ApiError> {
        let limit = queue.limits.admitted.get();
        let one_more = |admitted: usize| (admitted < limit).then_some(admitted + 1);
        match queue.admitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Self(Arc::clone(queue))),
            Err(_) => Err(ApiError::Overloaded { limit }),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(service: &Service, call: Call) -> Result<Answer, ApiError> {
    catch_unwind(AssertUnwindSafe(|| call.run(service))).map_err(|_| ApiError::Panic)?
}
