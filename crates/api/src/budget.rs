//! The memory of requests in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::ApiError;

/// Bytes of each request that do not count, so that small requests are accepted while large ones use
/// the whole budget.
pub(crate) const FREE_BYTES: usize = 64 * 1024;

/// Limits the bytes of the bodies and the responses of all requests. Clones share the budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

/// The bytes of one request. They are given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    budget: Option<Budget>,
    /// Bytes of the request.
    bytes: usize,
    /// Bytes taken from the budget.
    taken_bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Shared { limit_bytes, used_bytes: AtomicUsize::new(0) }))
    }

    /// Returns the reservation of a request that has no bytes yet.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { budget: Some(self.clone()), bytes: 0, taken_bytes: 0 }
    }

    /// Number of bytes that requests have taken.
    pub(crate) fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// Adds bytes to those of the request.
    ///
    /// # Errors
    /// - As [`Reservation::resize`].
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.resize(self.bytes.saturating_add(bytes))
    }

    /// Changes the number of bytes of the request. A reservation without a budget has no limit.
    ///
    /// # Errors
    /// - [`ApiError::OutOfMemory`] if the budget is used up. The reservation keeps its bytes.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), ApiError> {
        let Some(Budget(shared)) = &self.budget else { return Ok(()) };
        let total_bytes = bytes;
        let bytes = bytes.saturating_sub(FREE_BYTES);
        let (taken_bytes, limit_bytes) = (self.taken_bytes, shared.limit_bytes);
        let resized = |used: usize| {
            let used = used - taken_bytes + bytes;
            (used <= limit_bytes || bytes <= taken_bytes).then_some(used)
        };
        match shared.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, resized) {
            Ok(_) => {
                (self.bytes, self.taken_bytes) = (total_bytes, bytes);
                Ok(())
            }
            Err(_) => Err(ApiError::OutOfMemory { limit_bytes }),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(Budget(shared)) = &self.budget {
            shared.used_bytes.fetch_sub(self.taken_bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_share_the_budget_and_small_ones_are_free() {
        let budget = Budget::new(1 << 20);
        let mut large = budget.reservation();
        large.resize((1 << 20) + FREE_BYTES).unwrap();
        let mut other = budget.reservation();
        other.resize(FREE_BYTES).unwrap();
        let refused = other.resize(FREE_BYTES + 1);
        assert!(matches!(refused, Err(ApiError::OutOfMemory { limit_bytes: 1_048_576 })));
        large.resize(1_000).unwrap();
        other.resize(FREE_BYTES + 1).unwrap();
        assert_eq!(budget.used_bytes(), 1);
        drop((large, other));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_reservation_without_a_budget_has_no_limit() {
        Reservation::default().resize(usize::MAX).unwrap();
    }
}
