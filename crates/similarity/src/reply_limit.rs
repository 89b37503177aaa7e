//! Limits on the size of a response.

use semblance_api::ApiError;

/// Maximum size of a response to an invocation, in bytes.
///
/// Source: AWS Lambda developer guide, "Lambda quotas": 6 MB for each request and response. The exact
/// number is from the error message "Response payload size exceeded maximum allowed payload size
/// (6291556 bytes)".
const INVOCATION_BYTES: usize = 6_291_556;

/// Maximum size of a response to a load balancer, in bytes.
///
/// Source: Elastic Load Balancing user guide, "Lambda functions as targets": 1 MB.
const LOAD_BALANCER_BYTES: usize = 1_048_576;

/// The maximum size of a response.
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
    /// Returns a limit in bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes }
    }

    /// The limit in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// Returns the limit on a response to a load balancer.
    pub(crate) fn for_load_balancer(self) -> Self {
        Self { bytes: self.bytes.min(LOAD_BALANCER_BYTES) }
    }

    /// Checks the size of a response with this number of bytes and items.
    ///
    /// # Errors
    /// - [`ApiError::ReplyTooLarge`] if it exceeds the limit. The error has the number of items that
    ///   fit, estimated from their mean size.
    pub(crate) fn check(self, bytes: usize, items: usize) -> Result<(), ApiError> {
        let limit_bytes = self.bytes;
        if bytes <= limit_bytes {
            return Ok(());
        }
        Err(ApiError::reply_too_large(bytes, limit_bytes, items))
    }
}
