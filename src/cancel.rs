//! Cancellation of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What ends the calls of a model early: a flag, and a deadline. Clones share the flag.
///
/// A call looks at the flag between texts while it tokenizes, and between forward passes. A canceled
/// call fails with [`ModelError::Canceled`](crate::ModelError::Canceled).
///
/// After a forward pass, a call that cannot end before the deadline fails with
/// [`ModelError::TooMuchWork`](crate::ModelError::TooMuchWork). The measured speed of the passes gives
/// the time that it needs.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    is_canceled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

/// A call was canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was canceled")]
pub struct Canceled;

impl Cancel {
    /// Returns this flag with a deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// When nobody waits for the result any more, if that is known.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Cancels the calls that have this flag.
    pub fn cancel(&self) {
        self.is_canceled.store(true, Ordering::Relaxed);
    }

    /// Whether the calls are canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.is_canceled.load(Ordering::Relaxed)
    }

    /// Returns an error if the calls are canceled.
    ///
    /// # Errors
    /// - [`Canceled`] if [`cancel`](Self::cancel) was called.
    pub fn check(&self) -> Result<(), Canceled> {
        if self.is_canceled() { Err(Canceled) } else { Ok(()) }
    }
}
