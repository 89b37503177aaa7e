//! Limits how many texts are tokenized at the same time.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// One turn for each CPU. A text takes a turn while it is tokenized, so that memory does not depend on
/// the number of calls, and calls with few texts do not wait for those with many. Turns are taken in
/// the order in which they are asked for.
pub(super) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Default)]
struct Waiter {
    granted: Mutex<bool>,
    changed: Condvar,
}

/// A turn. It ends when it is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Default for Turns {
    fn default() -> Self {
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

impl Turns {
    fn new(turns: NonZeroUsize) -> Self {
        let state = State { free: turns.get(), waiting: VecDeque::new() };
        Self { state: Mutex::new(state) }
    }

    /// Waits for a turn.
    pub(super) fn take(&self) -> Turn<'_> {
        let mut state = lock(&self.state);
        if state.free > 0 {
            state.free -= 1;
            return Turn(self);
        }
        let waiter = Arc::<Waiter>::default();
        state.waiting.push_back(Arc::clone(&waiter));
        drop(state);
        let mut granted = lock(&waiter.granted);
        while !*granted {
            granted = waiter.changed.wait(granted).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        match state.waiting.pop_front() {
            Some(next) => {
                *lock(&next.granted) = true;
                next.changed.notify_one();
            }
            None => state.free += 1,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn at_most_so_many_turns_are_taken_at_a_time() {
        let turns = Turns::new(NonZeroUsize::new(2).unwrap());
        let (taken, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _turn = turns.take();
                        let now = taken.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        taken.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
        assert_eq!(lock(&turns.state).free, 2, "every turn is given back");
    }
}
