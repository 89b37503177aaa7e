//! Threads that help with the operators of a forward pass.
//!
//! They sleep between passes. During a pass they look for the next piece of work again and again: a pass has one every
//! few microseconds, and to wake a thread takes longer.
#![expect(unsafe_code, reason = "threads call a closure that the caller lends for a time")]

use std::hint;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::team::Team;

/// Between passes: threads sleep.
const RESTING: u8 = 0;
/// During a pass: threads wait for work.
const WAITING: u8 = 1;
/// No pass will follow: threads end.
const ENDED: u8 = 2;

/// The bit of the gate that is set while threads may start with a piece of work. The bits below it count the threads
/// that work, the caller's included. The bits from it on are a number: odd, and another one, for each piece.
const OPEN: u64 = 1 << 16;

/// How often a thread looks for work before it lets other threads run on its CPU: some tens of microseconds.
const LOOKS: u32 = 2_000;

/// Work as it is lent: a reference on the caller's stack.
type Work<'a> = &'a (dyn Fn() + Sync);

/// The threads of a session, the caller's not among them.
#[derive(Debug)]
pub struct Workers {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    phase: AtomicU8,
    gate: AtomicU64,
    /// Points to a [`Work`] while the gate is open or a thread is working.
    work: AtomicPtr<()>,
    panicked: AtomicBool,
}

impl Workers {
    /// Starts the threads for passes on `threads` threads, the caller's counted.
    ///
    /// # Errors
    /// - The error of the operating system if a thread cannot be started.
    pub fn start(threads: usize) -> io::Result<Self> {
        let state = Arc::new(State {
            phase: AtomicU8::new(RESTING),
            gate: AtomicU64::new(0),
            work: AtomicPtr::new(ptr::null_mut()),
            panicked: AtomicBool::new(false),
        });
        let mut workers = Self { state, threads: Vec::new() };
        for _ in 1..threads {
            let state = Arc::clone(&workers.state);
            let thread = thread::Builder::new().name("forward-pass".into());
            workers.threads.push(thread.spawn(move || state.help())?);
        }
        Ok(workers)
    }

    /// Wakes the threads. They sleep again when the value returned is dropped.
    #[must_use]
    pub fn wake(&self) -> Awake<'_> {
        self.enter(WAITING);
        Awake(self)
    }

    fn enter(&self, phase: u8) {
        self.state.phase.store(phase, Ordering::Release);
        if phase != RESTING {
            self.threads.iter().for_each(|thread| thread.thread().unpark());
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.enter(ENDED);
        for thread in self.threads.drain(..) {
            // A thread catches the panics of its work, so it ends in no other way.
            let _ = thread.join();
        }
    }
}

/// A pass: the threads wait for work.
#[derive(Debug)]
pub struct Awake<'a>(&'a Workers);

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.enter(RESTING);
    }
}

impl Team for Workers {
    fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    fn run(&self, work: Work<'_>) {
        let state = &*self.state;
        let gate = state.gate.load(Ordering::Relaxed);
        // If another thread has work here at the same time, this one works alone.
        let is_closed = gate & (2 * OPEN - 1) == 0;
        let taken =
            || state.gate.compare_exchange(gate, gate + 1, Ordering::Acquire, Ordering::Relaxed);
        if !is_closed || taken().is_err() {
            return work();
        }
        state.work.store(ptr::from_ref(&work).cast_mut().cast(), Ordering::Relaxed);
        let opened = Opened(state);
        state.gate.fetch_add(OPEN, Ordering::Release);
        work();
        drop(opened);
        if state.panicked.swap(false, Ordering::Relaxed) {
            // The message is in the log, by the panic of that thread.
            panic!("a thread of the forward pass failed");
        }
    }
}

/// The open gate of a piece of work. Dropping it waits until no thread uses the work.
struct Opened<'a>(&'a State);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        let gate = &self.0.gate;
        // Closes the gate, and ends the part of the caller.
        gate.fetch_add(OPEN - 1, Ordering::Relaxed);
        let mut looks = 0;
        while gate.load(Ordering::Acquire) & (OPEN - 1) != 0 {
            look(&mut looks);
        }
    }
}

impl State {
    /// What a thread does until the session ends.
    fn help(&self) {
        let (mut last, mut looks) = (0, 0);
        loop {
            match self.phase.load(Ordering::Acquire) {
                RESTING => {
                    looks = 0;
                    thread::park();
                    continue;
                }
                ENDED => return,
                _ => {}
            }
            let gate = self.gate.load(Ordering::Relaxed);
            let number = gate / OPEN;
            if gate & OPEN == 0 || number == last {
                look(&mut looks);
                continue;
            }
            let entered =
                self.gate.compare_exchange(gate, gate + 1, Ordering::Acquire, Ordering::Relaxed);
            if entered.is_err() {
                continue;
            }
            (last, looks) = (number, 0);
            // SAFETY: the thread entered while the gate was open, so the caller has stored its work, and waits in
            // `Opened` until this thread has left.
            let work = unsafe { *self.work.load(Ordering::Relaxed).cast::<Work<'_>>() };
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.gate.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Waits a moment. After many moments, other threads may run first.
fn look(looks: &mut u32) {
    *looks += 1;
    if *looks < LOOKS {
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Fails if fewer than three threads work at the same time: each waits for the others.
    fn work_together(workers: &Workers) {
        let together = Barrier::new(3);
        workers.run(&|| {
            together.wait();
        });
    }

    #[test]
    fn all_threads_work_in_every_pass() {
        let workers = Workers::start(3).unwrap();
        assert_eq!(workers.threads(), 3);
        for _ in 0..50 {
            let _awake = workers.wake();
            (0..20).for_each(|_| work_together(&workers));
        }
    }

    #[test]
    fn a_piece_has_ended_on_every_thread_when_run_returns() {
        let workers = Workers::start(4).unwrap();
        for _ in 0..200 {
            let _awake = workers.wake();
            for _ in 0..20 {
                let (started, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
                workers.run(&|| {
                    started.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                    ended.fetch_add(1, Ordering::Relaxed);
                });
                let (started, ended) = (started.into_inner(), ended.into_inner());
                assert_eq!(started, ended);
                assert!((1..=4).contains(&started), "{started} threads");
            }
        }
    }

    #[test]
    fn without_a_pass_the_caller_works_alone() {
        let caller = thread::current().id();
        for threads in [1, 3] {
            let workers = Workers::start(threads).unwrap();
            let runs = AtomicUsize::new(0);
            workers.run(&|| {
                assert_eq!(thread::current().id(), caller);
                runs.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(runs.into_inner(), 1);
        }
    }

    #[test]
    fn work_within_work_runs_on_the_thread_that_has_it() {
        let workers = Workers::start(3).unwrap();
        let _awake = workers.wake();
        let (outer, inner) = (AtomicUsize::new(0), AtomicUsize::new(0));
        workers.run(&|| {
            outer.fetch_add(1, Ordering::Relaxed);
            workers.run(&|| {
                inner.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(outer.into_inner(), inner.into_inner());
    }

    #[test]
    fn a_panic_of_any_thread_reaches_the_caller_and_the_next_piece_runs() {
        let workers = Workers::start(3).unwrap();
        let _awake = workers.wake();
        let caller = thread::current().id();
        for fails_here in [true, false] {
            let together = Barrier::new(3);
            let failed = catch_unwind(AssertUnwindSafe(|| {
                workers.run(&|| {
                    together.wait();
                    assert_ne!(thread::current().id() == caller, fails_here);
                });
            }));
            assert!(failed.is_err(), "the caller {fails_here}");
            work_together(&workers);
        }
    }
}
