//! The texts of one caller.

use std::any::Any;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::Array1;

use crate::cancel::Cancel;
use crate::runtime::InferError;
use crate::tokenizer::Encoding;

use super::TooMuchWork;
use super::speed::Speed;

/// Texts of one caller.
pub(super) struct Caller {
    pub(super) texts: Vec<Encoding>,
    /// What its rows are.
    pub(super) output: Output,
    /// Wakes the thread of the caller. It waits with the state of the scheduler.
    pub(super) changed: Condvar,
    cancel: Cancel,
    entered: Instant,
    progress: Mutex<Progress>,
}

/// How far the texts of a caller are.
pub(super) struct Progress {
    /// The first text that no pass has taken.
    pub(super) next: usize,
    /// Texts that are in a pass.
    pub(super) running: usize,
    pub(super) passes: usize,
    pub(super) rows: Vec<Array1<f32>>,
    pub(super) queue_time: Option<Duration>,
    pub(super) failure: Option<Failure>,
}

/// What the rows of a caller are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// One row per text.
    Rows,
    /// The rows of its tokens.
    Tokens,
}

/// Why a pass failed.
pub(super) enum Failure {
    Error(InferError),
    TooMuchWork(TooMuchWork),
    Panic(Box<dyn Any + Send>),
}

impl Caller {
    pub(super) fn new(texts: Vec<Encoding>, output: Output, cancel: Cancel) -> Self {
        let progress = Progress {
            next: 0,
            running: 0,
            passes: 0,
            rows: vec![Array1::default(0); texts.len()],
            queue_time: None,
            failure: None,
        };
        let (changed, progress) = (Condvar::new(), Mutex::new(progress));
        Self { texts, output, changed, cancel, entered: Instant::now(), progress }
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no text of the caller is in a pass or will be.
    pub(super) fn is_done(&self) -> bool {
        self.next_tokens().is_none() && self.progress().running == 0
    }

    /// Tokens of its next text; none if no text is left, a pass failed or the caller is canceled.
    pub(super) fn next_tokens(&self) -> Option<usize> {
        if self.cancel.is_canceled() {
            return None;
        }
        self.texts.get(self.progress().next).map(Encoding::tokens)
    }

    /// Fails the caller if its texts cannot be done before its deadline: neither those that are left
    /// in the time that is left, nor all of them alone in the time that there was at the start. A caller
    /// that is late because of others does not fail.
    pub(super) fn check_deadline(&self, speed: &Speed) {
        let Some(deadline) = self.cancel.deadline() else { return };
        let mut progress = self.progress();
        let tokens = |texts: &[Encoding]| texts.iter().map(Encoding::tokens).sum::<usize>();
        let Some(rest) = speed.estimate(tokens(&self.texts[progress.next..])) else { return };
        if rest <= deadline.saturating_duration_since(Instant::now()) {
            return;
        }
        let tokens = tokens(&self.texts);
        let available = deadline.saturating_duration_since(self.entered);
        let Some(estimate) = speed.estimate(tokens).filter(|&estimate| estimate > available) else {
            return;
        };
        progress.next = self.texts.len();
        let failure = Failure::TooMuchWork(TooMuchWork { tokens, estimate, available });
        progress.failure.get_or_insert(failure);
    }

    /// Takes its next text.
    pub(super) fn take(&self) -> Option<usize> {
        let mut progress = self.progress();
        let index = progress.next;
        self.texts.get(index)?;
        progress.next += 1;
        progress.running += 1;
        progress.queue_time.get_or_insert(self.entered.elapsed());
        Some(index)
    }
}
