//! Dividing a kernel's work among threads.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that can work on something together.
pub trait Team {
    /// How many there are, the caller's counted.
    fn threads(&self) -> usize;

    /// Runs `work` on up to this number of threads at once and returns when all have ended. It may run it
    /// fewer times: a single run does all that is left.
    fn run(&self, work: &(dyn Fn() + Sync));
}

/// The caller's thread alone.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Team for Alone {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        work();
    }
}

/// Runs `task` once for each index below `tasks`; every thread takes the next that is left, and has
/// its own workspace.
pub(super) fn share<W>(
    team: &dyn Team,
    tasks: usize,
    workspace: impl Fn() -> W + Sync,
    task: impl Fn(&mut W, usize) + Sync,
) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut index = next.fetch_add(1, Ordering::Relaxed);
        if index >= tasks {
            return;
        }
        let mut workspace = workspace();
        while index < tasks {
            task(&mut workspace, index);
            index = next.fetch_add(1, Ordering::Relaxed);
        }
    };
    if tasks > 1 && team.threads() > 1 {
        team.run(&work);
    }
    work();
}

/// A slice that several threads write disjoint parts of.
pub(super) struct Shared<'a, T> {
    start: *mut T,
    slice: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

#[expect(unsafe_code, reason = "threads write to disjoint parts of one slice")]
// SAFETY: a pointer to values that may be sent; who writes through it answers for disjointness.
unsafe impl<T: Send> Send for Shared<'_, T> {}

#[expect(unsafe_code, reason = "threads write to disjoint parts of one slice")]
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), slice: PhantomData }
    }

    /// Some of the values.
    ///
    /// # Safety
    /// They must be within the slice, and nobody else may read or write them meanwhile.
    #[expect(unsafe_code, reason = "the contract is the caller's")]
    pub(super) unsafe fn part(self, range: std::ops::Range<usize>) -> &'a mut [T] {
        // SAFETY: by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The first value. Reading and writing through it is unsafe and must stay within the slice.
    pub(super) fn start(self) -> *mut T {
        self.start
    }
}
