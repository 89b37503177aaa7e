//! Cancellation of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that ends the calls of a model early. Clones share the flag.
///
/// A call looks at the flag between texts while it tokenizes, and between forward passes. A canceled
/// call fails with [`ModelError::Canceled`](crate::ModelError::Canceled).
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

/// A call was canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was canceled")]
pub struct Canceled;

impl Cancel {
    /// Cancels the calls that have this flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the calls are canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns an error if the calls are canceled.
    ///
    /// # Errors
    /// - [`Canceled`] if [`cancel`](Self::cancel) was called.
    pub fn check(&self) -> Result<(), Canceled> {
        if self.is_canceled() { Err(Canceled) } else { Ok(()) }
    }
}
