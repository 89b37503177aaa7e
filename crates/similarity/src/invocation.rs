//! The invocation of an event: its id and its deadline.

use std::time::{Instant, SystemTime};

use lambda_runtime::Context;

/// The invocation of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) request_id: &'a str,
    /// When Lambda ends the invocation; `None` if that is not in the future, such as in an emulator
    /// without a timeout.
    pub(crate) deadline: Option<Instant>,
}

impl<'a> Invocation<'a> {
    /// Returns the invocation of a context. `now` is the current time.
    pub(crate) fn new(context: &'a Context, now: Instant) -> Self {
        let left = context.deadline().duration_since(SystemTime::now()).ok();
        let deadline = left.and_then(|left| now.checked_add(left));
        Self { request_id: &context.request_id, deadline }
    }
}
