//! Forward passes for several callers.
//!
//! A pass is any texts one after the other, bounded by their tokens. A caller that finds the model free
//! fills a pass with texts of every caller that waits; nobody waits for a pass to fill. ADR 0007 has
//! the measurement.
//!
//! One pass runs at a time, on all threads. ADR 0010 has the measurement. Callers take turns by tokens:
//! `queue.rs` has the rule.
//!
//! A call with a deadline fails once the measured speed of the passes shows that it cannot end in time.

mod caller;
mod queue;
mod speed;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{Array1, Array2, s};

use crate::cancel::{Cancel, Canceled};
use crate::runtime::{InferError, Inputs};
use crate::tokenizer::Encoding;

use caller::{Caller, Failure, Output};
use queue::{Queue, Share};
use speed::Speed;

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

    /// Returns one row per token, `[tokens, hidden]`, f32. A model that has no such output returns that of
    /// [`rows`](Self::rows).
    ///
    /// # Errors
    /// - As [`Infer::infer`](crate::runtime::Infer::infer).
    fn tokens(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        self.rows(inputs)
    }
}

/// A model that several callers share.
pub struct Scheduler {
    state: Mutex<State>,
}

struct State {
    /// None while a pass runs.
    model: Option<Box<dyn RowModel>>,
    queue: Queue,
    speed: Speed,
}

/// The rows of texts, and what they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// One row per text, `[dim]`, f32, in input order. For token embeddings, `[tokens * hidden]`.
    pub rows: Vec<Array1<f32>>,
    /// Tokens of the texts.
    pub tokens: usize,
    /// Forward passes that had a text of this call.
    pub passes: usize,
    /// Time until the first pass began.
    pub queue_time: Duration,
}

/// Why texts have no rows.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A pass failed.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The call was canceled.
    #[error(transparent)]
    Canceled(#[from] Canceled),
    /// The call cannot end before its deadline.
    #[error(transparent)]
    TooMuchWork(#[from] TooMuchWork),
}

/// A call has more tokens than the model can process in the time that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request needs about {:.1} s for its {tokens} tokens; {:.1} s were left when it began",
    estimate.as_secs_f64(),
    available.as_secs_f64()
)]
pub struct TooMuchWork {
    /// Tokens of the call.
    pub tokens: usize,
    /// The time that they take, estimated from the passes before.
    pub estimate: Duration,
    /// The time between the start of the call and its deadline.
    pub available: Duration,
}

impl Scheduler {
    /// Returns the scheduler of a model. A pass has at most `pass_tokens` tokens, or one text.
    #[must_use]
    pub fn new(model: Box<dyn RowModel>, pass_tokens: usize) -> Self {
        let (queue, speed) = (Queue::new(pass_tokens), Speed::new(pass_tokens.min(PASS_TOKENS)));
        let state = State { model: Some(model), queue, speed };
        Self { state: Mutex::new(state) }
    }

    /// Puts texts through the model and returns one row for each. A row does not depend on the other
    /// texts, those of other callers included, to the last bit.
    ///
    /// # Errors
    /// - [`RunError::Infer`]: the first error of a pass. Later passes of the call do not run.
    /// - [`RunError::Canceled`] if the call is canceled. At most the pass in progress is completed.
    /// - [`RunError::TooMuchWork`] if the call cannot end before its deadline.
    ///
    /// # Panics
    /// If the model does.
    pub fn run(&self, texts: Vec<Encoding>, cancel: &Cancel) -> Result<Run, RunError> {
        self.run_for(texts, Output::Rows, cancel)
    }

    /// As [`run`](Self::run), for the token embeddings of each text.
    ///
    /// # Errors
    /// - As [`run`](Self::run).
    pub fn run_tokens(&self, texts: Vec<Encoding>, cancel: &Cancel) -> Result<Run, RunError> {
        self.run_for(texts, Output::Tokens, cancel)
    }

    fn run_for(
        &self,
        texts: Vec<Encoding>,
        output: Output,
        cancel: &Cancel,
    ) -> Result<Run, RunError> {
        let tokens = texts.iter().map(Encoding::tokens).sum();
        let caller = Arc::new(Caller::new(texts, output, cancel.clone()));
        if !caller.texts.is_empty() {
            self.lock().queue.enter(&caller);
            self.work(&caller);
        }
        cancel.check()?;
        let mut progress = caller.progress();
        match progress.failure.take() {
            Some(Failure::Error(error)) => Err(error.into()),
            Some(Failure::TooMuchWork(error)) => Err(error.into()),
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
    fn work(&self, caller: &Arc<Caller>) {
        let mut state = self.lock();
        while !caller.is_done() {
            let Some(mut model) = state.model.take() else {
                state = caller.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let shares = state.queue.take_texts();
            if !shares.is_empty() {
                drop(state);
                let tokens = shares.iter().map(Share::tokens).sum();
                let callers: Vec<_> = shares.iter().map(|it| Arc::clone(&it.caller)).collect();
                let started = Instant::now();
                infer(model.as_mut(), shares);
                let elapsed = started.elapsed();
                state = self.lock();
                state.speed.record(tokens, elapsed);
                for one in &callers {
                    one.check_deadline(&state.speed);
                }
                // Every other caller of the pass may be done.
                let others = callers.iter().filter(|one| !Arc::ptr_eq(one, caller));
                others.for_each(|one| one.changed.notify_one());
            }
            state.model = Some(model);
        }
        // The next pass is run by one of the callers that wait.
        if state.model.is_some() {
            state.queue.wake_next();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the texts of a pass: those of callers that want the same output together.
fn infer(model: &mut dyn RowModel, shares: Vec<Share>) {
    let (rows, tokens): (Vec<Share>, Vec<Share>) =
        shares.into_iter().partition(|share| share.caller.output == Output::Rows);
    for shares in [rows, tokens].iter().filter(|shares| !shares.is_empty()) {
        infer_together(model, shares);
    }
}

/// Runs texts together and gives each caller its rows. If that fails, each caller's are run alone, so
/// that one caller's bad text does not fail another's.
fn infer_together(model: &mut dyn RowModel, shares: &[Share]) {
    let together = pass(model, shares);
    if together.is_ok() || shares.len() == 1 {
        return settle(shares, together);
    }
    for share in shares {
        let alone = std::slice::from_ref(share);
        settle(alone, pass(model, alone));
    }
}

fn pass(model: &mut dyn RowModel, shares: &[Share]) -> Result<Vec<Array1<f32>>, Failure> {
    let mut inputs = Inputs::default();
    for share in shares {
        for &text in &share.texts {
            let text = &share.caller.texts[text];
            inputs.push(&text.input_ids, &text.token_type_ids);
        }
    }
    let is_tokens = shares.iter().any(|share| share.caller.output == Output::Tokens);
    let run = || match is_tokens {
        false => Ok(model.rows(&inputs)?.outer_iter().map(|row| row.to_owned()).collect()),
        true => split(&model.tokens(&inputs)?, &inputs),
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(Failure::Error(error)),
        Err(panic) => Err(Failure::Panic(panic)),
    }
}

/// Returns the rows of each text, one after the other: `[tokens * hidden]`.
fn split(tokens: &Array2<f32>, inputs: &Inputs) -> Result<Vec<Array1<f32>>, InferError> {
    if tokens.nrows() != inputs.tokens() {
        let (found, texts, tokens) = (tokens.shape().to_vec(), inputs.texts(), inputs.tokens());
        return Err(InferError::Shape { found, texts, tokens });
    }
    let text = |rows| tokens.slice(s![rows, ..]).iter().copied().collect();
    Ok(inputs.rows().map(text).collect())
}

/// Gives each caller its rows, or the failure to the only one.
fn settle(shares: &[Share], result: Result<Vec<Array1<f32>>, Failure>) {
    let (rows, mut failure) = match result {
        Ok(rows) => (rows, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let mut rows = rows.into_iter();
    for Share { caller, texts } in shares {
        let mut progress = caller.progress();
        progress.running -= texts.len();
        if let Some(failure) = failure.take() {
            progress.next = caller.texts.len();
            progress.failure.get_or_insert(failure);
        } else {
            for (&text, row) in texts.iter().zip(rows.by_ref()) {
                progress.rows[text] = row;
            }
        }
    }
}

#[cfg(test)]
mod tests;
