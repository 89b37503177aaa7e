//! Limits on the size of a response.

use semblance_api::ApiError;

/// The most bytes of a response to an invocation.
///
/// Source: AWS Lambda developer guide, "Lambda quotas": 6 MB for each request and response. The
/// number is that of its error message "Response payload size exceeded maximum allowed payload size
/// (6291556 bytes)".
const INVOCATION_BYTES: usize = 6_291_556;

/// The most bytes of a response to a load balancer.
///
/// Source: Elastic Load Balancing user guide, "Lambda functions as targets": 1 MB.
const LOAD_BALANCER_BYTES: usize = 1_048_576;

/// The most bytes that a response may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimit {
    bytes: usize,
}

impl Default for ReplyLimit {
    /// The limit of AWS Lambda.
    fn default() -> Self {
        Self { bytes: INVOCATION_BYTES }
    }
}

impl ReplyLimit {
    /// Returns a limit of this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes }
    }

    /// The same limit for a response to a load balancer.
    pub(crate) fn for_load_balancer(self) -> Self {
        Self { bytes: self.bytes.min(LOAD_BALANCER_BYTES) }
    }

    /// Checks a response with this many bytes and items.
    ///
    /// # Errors
    /// - [`ApiError::ReplyTooLarge`] if it exceeds the limit. It says how many items fit, by their
    ///   mean size.
    pub(crate) fn check(self, bytes: usize, items: usize) -> Result<(), ApiError> {
        let limit_bytes = self.bytes;
        if bytes <= limit_bytes {
            return Ok(());
        }
        let fit = items.saturating_mul(limit_bytes) / bytes.max(1);
        Err(ApiError::ReplyTooLarge { bytes, limit_bytes, items, fit })
    }
}
