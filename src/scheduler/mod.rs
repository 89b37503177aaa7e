//! Forward passes for several callers.
//!
//! A pass is any texts one after the other, bounded by their tokens. A caller that finds the model free
//! fills a pass with texts of every caller that waits; nobody waits for a pass to fill. ADR 0007 has
//! the measurement.
//!
//! One pass runs at a time, on all threads. ADR 0010 has the measurement.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{Array1, Array2};

use crate::runtime::{InferError, Inputs};
use crate::tokenizer::Encoding;

/// The default of the most tokens of one forward pass: large enough for every thread to have work,
/// small enough for the caches.
pub const PASS_TOKENS: usize = 192;

/// A model, with what makes one row of its output for each text.
pub trait RowModel: Send {
    /// Returns one row per text, `[texts, dim]`, f32.
    ///
    /// # Errors
    /// - As [`Infer::infer`](crate::runtime::Infer::infer).
    fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError>;
}

/// A model that several callers share.
pub struct Scheduler {
    pass_tokens: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// The rows of texts, and what they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// One row per text, `[dim]`, f32, in input order.
    pub rows: Vec<Array1<f32>>,
    /// Tokens of the texts.
    pub tokens: usize,
    /// Forward passes that had a text of this call.
    pub passes: usize,
    /// Time until the first pass began.
    pub queue_time: Duration,
}

struct State {
    /// None while a pass runs.
    model: Option<Box<dyn RowModel>>,
    /// Callers with texts that no pass has taken, those first that have waited longest since their
    /// last text was taken.
    waiting: VecDeque<Arc<Caller>>,
}

/// Texts of one caller.
struct Caller {
    texts: Vec<Encoding>,
    entered: Instant,
    progress: Mutex<Progress>,
}

struct Progress {
    /// The first text that no pass has taken.
    next: usize,
    /// Tokens of the texts that passes have taken.
    served: usize,
    /// Texts that are in a pass.
    running: usize,
    passes: usize,
    rows: Vec<Array1<f32>>,
    queue_time: Option<Duration>,
    failure: Option<Failure>,
}

enum Failure {
    Error(InferError),
    Panic(Box<dyn std::any::Any + Send>),
}

/// The texts of one caller in a pass.
struct Share {
    caller: Arc<Caller>,
    texts: Vec<usize>,
}

impl Scheduler {
    /// Returns the scheduler of a model. A pass has at most `pass_tokens` tokens, or one text.
    #[must_use]
    pub fn new(model: Box<dyn RowModel>, pass_tokens: usize) -> Self {
        let state = State { model: Some(model), waiting: VecDeque::new() };
        Self { pass_tokens, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Puts texts through the model and returns one row for each. A row does not depend on the other
    /// texts, those of other callers included, to the last bit.
    ///
    /// # Errors
    /// - The first [`InferError`] of a pass. Later passes of the call do not run.
    ///
    /// # Panics
    /// If the model does.
    pub fn run(&self, texts: Vec<Encoding>) -> Result<Run, InferError> {
        let tokens = texts.iter().map(Encoding::tokens).sum();
        let caller = Arc::new(Caller::new(texts));
        if !caller.texts.is_empty() {
            self.lock().waiting.push_back(Arc::clone(&caller));
            self.work(&caller);
        }
        let mut progress = caller.progress();
        match progress.failure.take() {
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::Panic(panic)) => {
                drop(progress);
                resume_unwind(panic)
            }
            None => Ok(Run {
                rows: std::mem::take(&mut progress.rows),
                tokens,
                passes: progress.passes,
                queue_time: progress.queue_time.unwrap_or_default(),
            }),
        }
    }

    /// Runs passes, with texts of the caller and of others, until the caller's are done.
    fn work(&self, caller: &Caller) {
        let mut state = self.lock();
        while !caller.is_done() {
            let shares =
                if state.model.is_some() { state.take_texts(self.pass_tokens) } else { Vec::new() };
            let model = if shares.is_empty() { None } else { state.model.take() };
            if let Some(mut model) = model {
                drop(state);
                infer(model.as_mut(), shares);
                state = self.lock();
                state.model = Some(model);
                self.changed.notify_all();
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    fn new(texts: Vec<Encoding>) -> Self {
        let progress = Progress {
            next: 0,
            served: 0,
            running: 0,
            passes: 0,
            rows: vec![Array1::default(0); texts.len()],
            queue_time: None,
            failure: None,
        };
        Self { texts, entered: Instant::now(), progress: Mutex::new(progress) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_done(&self) -> bool {
        let progress = self.progress();
        progress.next == self.texts.len() && progress.running == 0
    }

    /// Tokens of its next text, and those that passes have taken of it before; none if no text is
    /// left.
    fn next(&self) -> Option<(usize, usize)> {
        let progress = self.progress();
        self.texts.get(progress.next).map(|text| (text.tokens(), progress.served))
    }

    /// Takes its next text.
    fn take(&self) -> Option<usize> {
        let mut progress = self.progress();
        let index = progress.next;
        progress.served += self.texts.get(index)?.tokens();
        progress.next += 1;
        progress.running += 1;
        progress.queue_time.get_or_insert(self.entered.elapsed());
        Some(index)
    }
}

impl State {
    /// Takes the texts of the next pass: one of the caller that has waited longest, then, while there
    /// is room, the next text of the caller that has had the fewest tokens.
    fn take_texts(&mut self, pass_tokens: usize) -> Vec<Share> {
        // A caller that failed waits no longer.
        self.waiting.retain(|caller| caller.next().is_some());
        let mut shares: Vec<Share> = Vec::new();
        let mut room = pass_tokens;
        let mut next = self.waiting.front().cloned();
        while let Some(caller) = next {
            if let Some((tokens, _)) = caller.next()
                && let Some(text) = caller.take()
            {
                room = room.saturating_sub(tokens);
                match shares.iter_mut().find(|share| Arc::ptr_eq(&share.caller, &caller)) {
                    Some(share) => share.texts.push(text),
                    None => {
                        caller.progress().passes += 1;
                        shares.push(Share { caller, texts: vec![text] });
                    }
                }
            }
            let fitting = self.waiting.iter().filter_map(|caller| {
                let (tokens, served) = caller.next()?;
                (tokens <= room).then_some((served, caller))
            });
            next = fitting.min_by_key(|&(served, _)| served).map(|(_, caller)| Arc::clone(caller));
        }
        for share in &shares {
            self.waiting.retain(|caller| !Arc::ptr_eq(caller, &share.caller));
            if share.caller.next().is_some() {
                self.waiting.push_back(Arc::clone(&share.caller));
            }
        }
        shares
    }
}

/// Runs texts together and gives each caller its rows. If that fails, each caller's are run alone, so
/// that one caller's bad text does not fail another's.
fn infer(model: &mut dyn RowModel, shares: Vec<Share>) {
    let together = pass(model, &shares);
    if together.is_ok() || shares.len() == 1 {
        return settle(shares, together);
    }
    for share in shares {
        let alone = [share];
        let result = pass(model, &alone);
        settle(alone, result);
    }
}

fn pass(model: &mut dyn RowModel, shares: &[Share]) -> Result<Array2<f32>, Failure> {
    let mut inputs = Inputs::default();
    for share in shares {
        for &text in &share.texts {
            let text = &share.caller.texts[text];
            inputs.push(&text.input_ids, &text.token_type_ids);
        }
    }
    match catch_unwind(AssertUnwindSafe(|| model.rows(&inputs))) {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(Failure::Error(error)),
        Err(panic) => Err(Failure::Panic(panic)),
    }
}

/// Gives each caller its rows, or the failure to the only one.
fn settle(shares: impl IntoIterator<Item = Share>, result: Result<Array2<f32>, Failure>) {
    let (rows, mut failure) = match result {
        Ok(rows) => (rows, None),
        Err(failure) => (Array2::zeros((0, 0)), Some(failure)),
    };
    let mut rows = rows.outer_iter();
    for Share { caller, texts } in shares {
        let mut progress = caller.progress();
        progress.running -= texts.len();
        if let Some(failure) = failure.take() {
            progress.next = caller.texts.len();
            progress.failure.get_or_insert(failure);
        } else {
            for (text, row) in texts.into_iter().zip(rows.by_ref()) {
                progress.rows[text] = row.to_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests;
