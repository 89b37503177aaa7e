//! Work on other threads, if the operating system has some.
//!
//! A container can limit its number of threads, and a thread needs memory for its stack. If a thread cannot
//! be started, the caller does its work later.

use std::panic::resume_unwind;
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Work that a thread of a scope does, or the caller of [`join`](Self::join).
pub(crate) struct Job<'scope, T, F> {
    thread: Option<ScopedJoinHandle<'scope, T>>,
    work: F,
}

/// Starts work on a new thread of a scope. If the system refuses the thread, [`Job::join`] does the work;
/// without [`Job::join`], nobody does it.
pub(crate) fn start<'scope, T, F>(scope: &'scope Scope<'scope, '_>, work: F) -> Job<'scope, T, F>
where
    T: Send + 'scope,
    F: FnOnce() -> T + Copy + Send + 'scope,
{
    Job { thread: Builder::new().spawn_scoped(scope, work).ok(), work }
}

impl<T, F: FnOnce() -> T> Job<'_, T, F> {
    /// Returns the result of the work. A panic of the work goes on in the caller.
    pub(crate) fn join(self) -> T {
        match self.thread {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => (self.work)(),
        }
    }
}
