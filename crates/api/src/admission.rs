//! Admission control: limits how many requests are in progress, for how long, and their memory.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use semblance::Cancel;

use crate::budget::{Budget, Reservation};
use crate::error::ApiError;
use crate::operation::{Answer, Call};
use crate::service::Service;

/// A service with admission control. Cloning it is cheap.
#[derive(Clone)]
pub struct Admission {
    service: Arc<Service>,
    gate: Option<Arc<Gate>>,
}

/// Limits of admission control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Maximum number of requests in progress, from their headers to the end of their operation.
    /// Further ones are refused. Each operation has its own thread; the model gives them turns.
    pub admitted: NonZeroUsize,
    /// Maximum number of bytes of the bodies and responses in memory. A request that needs more is
    /// refused. The first 64 KiB of a request do not count.
    pub buffered_bytes: usize,
    /// Time limit of an operation.
    pub timeout: Duration,
}

struct Gate {
    limits: AdmissionLimits,
    budget: Budget,
    admitted: AtomicUsize,
}

impl Admission {
    /// Returns an admission control that runs each operation immediately on the caller's thread. Use
    /// it for a function that receives one event at a time.
    #[must_use]
    pub fn inline(service: Arc<Service>) -> Self {
        Self { service, gate: None }
    }

    /// Returns an admission control that runs operations on other threads, within limits.
    #[must_use]
    pub fn queued(service: Arc<Service>, limits: AdmissionLimits) -> Self {
        let budget = Budget::new(limits.buffered_bytes);
        let gate = Gate { limits, budget, admitted: AtomicUsize::new(0) };
        Self { service, gate: Some(Arc::new(gate)) }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Number of requests in progress.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.gate.as_ref().map_or(0, |gate| gate.admitted.load(Ordering::Relaxed))
    }

    /// Number of bytes of the bodies and responses in memory.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.gate.as_ref().map_or(0, |gate| gate.budget.used_bytes())
    }

    /// Admits a request before its body is read.
    ///
    /// # Errors
    /// - [`ApiError::Overloaded`] if too many requests are in progress.
    pub(crate) fn enter(&self) -> Result<Entry, ApiError> {
        let service = Arc::clone(&self.service);
        Ok(match &self.gate {
            None => Entry { service, ticket: None, reservation: Reservation::default() },
            Some(gate) => Entry {
                service,
                ticket: Some(Ticket::new(gate)?),
                reservation: gate.budget.reservation(),
            },
        })
    }

    /// Runs a call. The time until it starts counts as queue time.
    ///
    /// If the future is dropped, the call is canceled. `deadline` is when nobody waits for the answer any
    /// more, if that is known; the time limit of the admission control is another one.
    ///
    /// # Errors
    /// - [`ApiError::Model`] with [`ModelError::TooMuchWork`](semblance::ModelError::TooMuchWork) as
    ///   soon as it is known that the call cannot end before its deadline.
    /// - [`ApiError::Request`], [`ApiError::Model`] if the request is refused or the model fails.
    /// - [`ApiError::Panic`] if the code panics.
    /// - [`ApiError::Overloaded`] if too many requests are in progress.
    /// - [`ApiError::TimedOut`] if it takes too long. The call is canceled, and counts as in progress
    ///   until it ends.
    pub async fn answer(&self, call: Call, deadline: Option<Instant>) -> Result<Answer, ApiError> {
        let (answer, _) = self.enter()?.run(deadline, move |_, _| Ok(call)).await?;
        Ok(answer)
    }
}

/// An admitted request.
pub(crate) struct Entry {
    service: Arc<Service>,
    ticket: Option<Ticket>,
    /// The memory of the request.
    pub(crate) reservation: Reservation,
}

impl Entry {
    /// Decodes a request and runs its call. Returns the answer, and the reservation of its bytes.
    ///
    /// # Errors
    /// - As [`Admission::answer`], and those of `decode`.
    /// - [`ApiError::OutOfMemory`] if the budget has no room for the response.
    pub(crate) async fn run(
        self,
        deadline: Option<Instant>,
        decode: impl FnOnce(&Service, &mut Reservation) -> Result<Call, ApiError> + Send + 'static,
    ) -> Result<(Answer, Reservation), ApiError> {
        let Self { service, ticket, mut reservation } = self;
        let Some(ticket) = ticket else {
            let service = service.with_cancel(Cancel::default().with_deadline(deadline));
            return Ok((run(&service, &mut reservation, decode)?, reservation));
        };
        let (entered, timeout) = (Instant::now(), ticket.0.limits.timeout);
        let limit = entered.checked_add(timeout);
        let deadline = [deadline, limit].into_iter().flatten().min();
        let cancel = CancelOnDrop(Cancel::default().with_deadline(deadline));
        let service = service.with_cancel(cancel.0.clone());
        let work = tokio::task::spawn_blocking(move || {
            let queue_time = entered.elapsed();
            let answer = run(&service, &mut reservation, decode);
            drop(ticket);
            let mut answer = answer?;
            answer.report.cost.queue_time += queue_time;
            Ok((answer, reservation))
        });
        let answer = tokio::time::timeout(timeout, work).await;
        let timed_out = ApiError::TimedOut { limit_seconds: timeout.as_secs() };
        answer.map_err(|_| timed_out)?.map_err(|_| ApiError::Panic)?
    }
}

/// Cancels a call when nobody waits for it any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Counts one admitted request until it is dropped.
struct Ticket(Arc<Gate>);

impl Ticket {
    fn new(gate: &Arc<Gate>) -> Result<Self, ApiError> {
        let limit = gate.limits.admitted.get();
        let one_more = |admitted: usize| (admitted < limit).then_some(admitted + 1);
        match gate.admitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Self(Arc::clone(gate))),
            Err(_) => Err(ApiError::Overloaded { limit }),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(
    service: &Service,
    reservation: &mut Reservation,
    decode: impl FnOnce(&Service, &mut Reservation) -> Result<Call, ApiError>,
) -> Result<Answer, ApiError> {
    let work = || {
        let answer = decode(service, reservation)?.run_within(service, reservation)?;
        // The body of the request is no longer in memory.
        reservation.resize(answer.reply.body.get().len())?;
        Ok(answer)
    };
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| ApiError::Panic)?
}
