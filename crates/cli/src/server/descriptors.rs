//! How many connections the limit on file descriptors allows.

use rustix::process::{Resource, getrlimit};

use super::ServerError;
use super::connections::RESERVED;

/// Descriptors of the process itself, and of connections that are being closed.
const OWN_DESCRIPTORS: usize = 32;

/// The smallest number of connections with which the server starts.
const MIN_CONNECTIONS: usize = 4;

/// Returns the number of connections that the process can have, at most `wanted`.
///
/// # Errors
/// - [`ServerError::Descriptors`] if the limit on file descriptors allows too few.
pub(crate) fn connections(wanted: usize) -> Result<usize, ServerError> {
    within(wanted, getrlimit(Resource::Nofile).current)
}

fn within(wanted: usize, limit: Option<u64>) -> Result<usize, ServerError> {
    let Some(limit) = limit else { return Ok(wanted) };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let minimum = OWN_DESCRIPTORS + RESERVED + MIN_CONNECTIONS;
    if limit < minimum {
        return Err(ServerError::Descriptors { limit, minimum });
    }
    Ok(wanted.min(limit - OWN_DESCRIPTORS - RESERVED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_on_descriptors_bounds_the_connections() {
        assert_eq!(within(4_096, None).unwrap(), 4_096);
        assert_eq!(within(4_096, Some(1_024)).unwrap(), 976);
        assert_eq!(within(100, Some(1_024)).unwrap(), 100);
        assert_eq!(within(4_096, Some(52)).unwrap(), 4);
        let error = within(4_096, Some(51)).unwrap_err();
        assert!(matches!(error, ServerError::Descriptors { limit: 51, minimum: 52 }));
    }
}
