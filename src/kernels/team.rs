//! Dividing a kernel's work among threads.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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

/// Runs `task` once for each index below `tasks`. Every thread has its own workspace, and a group of
/// consecutive tasks. It takes the tasks of its group first, then those that are left in the others.
/// The tasks of one operator after the other concern the same rows in the same order, so a thread
/// finds most of its rows in its own cache.
pub(super) fn share<W>(
    team: &dyn Team,
    tasks: usize,
    workspace: impl Fn() -> W + Sync,
    task: impl Fn(&mut W, usize) + Sync,
) {
    let groups = team.threads().min(tasks);
    if groups < 2 {
        let mut workspace = workspace();
        (0..tasks).for_each(|index| task(&mut workspace, index));
        return;
    }
    let start = |group: usize| tasks * group / groups;
    let next: Vec<AtomicUsize> = (0..groups).map(|group| AtomicUsize::new(start(group))).collect();
    let caller = thread::current().id();
    let others = AtomicUsize::new(1);
    let work = || {
        let is_caller = thread::current().id() == caller;
        let own = if is_caller { 0 } else { others.fetch_add(1, Ordering::Relaxed) };
        let mut space = None;
        for group in (own..own + groups).map(|group| group % groups) {
            let take = || next[group].fetch_add(1, Ordering::Relaxed);
            let mut index = take();
            while index < start(group + 1) {
                task(space.get_or_insert_with(&workspace), index);
                index = take();
            }
        }
    };
    team.run(&work);
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
