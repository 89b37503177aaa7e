//! Several forward passes at a time, for several callers at a time.
//!
//! Batches are independent, so two sessions of one thread waste less than one session of two,
//! which meet after every operator; ADR 0004 has the measurement. A forward pass of few tokens
//! wastes too: whoever finds a lane free takes the next batch that waits and, where room is left,
//! those of other callers with it; ADR 0007 has that measurement. Nobody waits for a batch to fill.

mod batch;

pub use batch::{Batch, BatchPlan, Budget};

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ndarray::{Array1, Array2};

use crate::runtime::{InferError, Inputs, Row};
use crate::tokenizer::Encoding;

/// A copy of a model, with what makes one row of its output for each text.
pub trait Lane: Send {
    /// Returns one row a text, `[batch, dim]`, f32; `lengths[i]` says how many tokens of text `i`
    /// are no padding.
    ///
    /// # Errors
    /// - As [`Infer::infer`](crate::runtime::Infer::infer).
    fn rows(&mut self, inputs: &Inputs, lengths: &[usize]) -> Result<Array2<f32>, InferError>;
}

/// Copies of one model that run side by side.
pub struct Lanes {
    budget: Budget,
    state: Mutex<State>,
    changed: Condvar,
}

/// What became of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// One row a text, `[dim]`, f32, in the order given.
    pub rows: Vec<Array1<f32>>,
    /// Tokens of the texts, padding of their batches counted as they were planned.
    pub padded_tokens: usize,
    /// Batches that were planned.
    pub batches: usize,
    /// Time until the first batch had a lane.
    pub queue_time: Duration,
}

struct State {
    idle: Vec<Box<dyn Lane>>,
    /// Callers with batches that no lane has taken, the next to be served first.
    waiting: VecDeque<Arc<Caller>>,
}

/// Texts of one caller.
struct Caller {
    texts: Vec<Encoding>,
    entered: Instant,
    progress: Mutex<Progress>,
}

struct Progress {
    /// Batches that no lane has taken, taken from the end.
    batches: Vec<Batch>,
    /// Batches that a lane works on.
    running: usize,
    rows: Vec<Array1<f32>>,
    queue_time: Option<Duration>,
    failure: Option<Failure>,
}

enum Failure {
    Error(InferError),
    Panic(Box<dyn std::any::Any + Send>),
}

/// A batch of one caller on its way through a lane.
struct Share {
    caller: Arc<Caller>,
    batch: Batch,
}

impl Lanes {
    /// Returns lanes of these copies of one model, at least one; `budget` bounds one forward pass.
    #[must_use]
    pub fn new(first: Box<dyn Lane>, others: Vec<Box<dyn Lane>>, budget: Budget) -> Self {
        let mut idle = others;
        idle.push(first);
        let state = Mutex::new(State { idle, waiting: VecDeque::new() });
        Self { budget, state, changed: Condvar::new() }
    }

    /// The most tokens of one forward pass, padding counted.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// Puts texts through the model and returns one row for each; a row does not depend on the
    /// other texts, nor on those of other callers. A single caller has all lanes.
    ///
    /// # Errors
    /// - The first [`InferError`] of a batch; what is not begun by then is left.
    ///
    /// # Panics
    /// If a lane does.
    pub fn run(&self, texts: Vec<Encoding>) -> Result<Run, InferError> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.input_ids.len()).collect();
        let free = self.lock().idle.len();
        let plan = BatchPlan::new(&lengths, self.budget.shared_by(free, lengths.iter().sum()));
        let (batches, padded_tokens) = (plan.batches.len(), plan.padded_tokens());
        let caller = Arc::new(Caller {
            entered: Instant::now(),
            progress: Mutex::new(Progress {
                rows: vec![Array1::default(0); texts.len()],
                batches: plan.batches,
                running: 0,
                queue_time: None,
                failure: None,
            }),
            texts,
        });
        if batches > 0 {
            self.lock().waiting.push_back(Arc::clone(&caller));
            let helpers = batches.min(free).saturating_sub(1);
            thread::scope(|scope| {
                for _ in 0..helpers {
                    scope.spawn(|| self.work(&caller, false));
                }
                self.work(&caller, true);
            });
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
                padded_tokens,
                batches,
                queue_time: progress.queue_time.unwrap_or_default(),
            }),
        }
    }

    /// Works on batches, the caller's and others', until none of the caller's is left; the caller
    /// itself also waits for those that other threads work on.
    fn work(&self, caller: &Arc<Caller>, until_done: bool) {
        loop {
            let mut state = self.lock();
            let (mut lane, shares) = loop {
                let progress = caller.progress();
                let is_done = progress.batches.is_empty() && progress.running == 0;
                if is_done || (progress.batches.is_empty() && !until_done) {
                    return;
                }
                drop(progress);
                if let Some(lane) = state.idle.pop() {
                    let shares = state.take(self.budget);
                    if !shares.is_empty() {
                        break (lane, shares);
                    }
                    state.idle.push(lane);
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            infer(lane.as_mut(), shares);
            self.lock().idle.push(lane);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes its last batch, if that may join a forward pass.
    fn take(&self, may_join: impl FnOnce(&Batch) -> bool) -> Option<Batch> {
        let mut progress = self.progress();
        let batch = progress.batches.pop_if(|batch| may_join(batch))?;
        progress.running += 1;
        progress.queue_time.get_or_insert(self.entered.elapsed());
        Some(batch)
    }

    fn is_waiting(&self) -> bool {
        !self.progress().batches.is_empty()
    }
}

impl State {
    /// Takes the next forward pass: a batch of the caller that has waited longest since it was last
    /// served, and what else has room beside it.
    fn take(&mut self, budget: Budget) -> Vec<Share> {
        let mut pass = Pass::default();
        // A caller whose texts all have a lane, or that failed, waits no longer.
        for _ in 0..self.waiting.len() {
            let Some(caller) = self.waiting.pop_front() else { break };
            if let Some(batch) = caller.take(|batch| pass.admits(batch, budget)) {
                pass.add(&batch);
                pass.shares.push(Share { caller: Arc::clone(&caller), batch });
                if caller.is_waiting() {
                    self.waiting.push_back(caller);
                }
            } else if caller.is_waiting() {
                self.waiting.push_back(caller);
            }
        }
        pass.shares
    }
}

/// Batches that go through a lane together.
#[derive(Default)]
struct Pass {
    shares: Vec<Share>,
    texts: usize,
    width: usize,
    /// Padded tokens of the batches one by one.
    apart: usize,
}

impl Pass {
    /// Whether a batch has room, and joining it costs less in padding than a pass of its own in
    /// overhead.
    fn admits(&self, batch: &Batch, budget: Budget) -> bool {
        if self.shares.is_empty() {
            return true;
        }
        let together = (self.texts + batch.texts.len()) * self.width.max(batch.width);
        let apart = self.apart + batch.texts.len() * batch.width;
        together <= budget.padded_tokens && together <= apart + apart / PADDING_PART
    }

    fn add(&mut self, batch: &Batch) {
        self.texts += batch.texts.len();
        self.width = self.width.max(batch.width);
        self.apart += batch.texts.len() * batch.width;
    }
}

/// Batches of several callers may have this part of their tokens in additional padding.
const PADDING_PART: usize = 4;

/// Runs batches together and gives each caller its rows. If that fails each is run alone, so that
/// one caller's bad text is not another's.
fn infer(lane: &mut dyn Lane, shares: Vec<Share>) {
    let together = pass(lane, &shares);
    if together.is_ok() || shares.len() == 1 {
        return settle(shares, together);
    }
    for share in shares {
        let alone = [share];
        let result = pass(lane, &alone);
        settle(alone, result);
    }
}

fn pass(lane: &mut dyn Lane, shares: &[Share]) -> Result<Array2<f32>, Failure> {
    let texts = || {
        shares.iter().flat_map(|share| share.batch.texts.iter().map(|&i| &share.caller.texts[i]))
    };
    let rows: Vec<Row<'_>> = texts()
        .map(|text| Row { input_ids: &text.input_ids, token_type_ids: &text.token_type_ids })
        .collect();
    let lengths: Vec<usize> = rows.iter().map(|row| row.input_ids.len()).collect();
    let inputs = Inputs::padded(rows, lengths.iter().copied().max().unwrap_or_default());
    match catch_unwind(AssertUnwindSafe(|| lane.rows(&inputs, &lengths))) {
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
    for Share { caller, batch } in shares {
        let mut progress = caller.progress();
        progress.running -= 1;
        if let Some(failure) = failure.take() {
            progress.batches.clear();
            progress.failure.get_or_insert(failure);
        } else {
            for (&text, row) in batch.texts.iter().zip(rows.by_ref()) {
                progress.rows[text] = row.to_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use ndarray::array;

    use super::*;

    /// Gives each text its first token; waits at its gate, fails and panics on some tokens.
    #[derive(Clone, Default)]
    struct First {
        passes: Arc<Mutex<Vec<(usize, usize)>>>,
        gate: Option<Arc<Barrier>>,
    }

    const FAILS: i32 = -1;
    const PANICS: i32 = -2;

    impl Lane for First {
        fn rows(&mut self, inputs: &Inputs, _: &[usize]) -> Result<Array2<f32>, InferError> {
            let (texts, tokens) = inputs.input_ids.dim();
            if let Some(gate) = &self.gate {
                gate.wait();
            }
            self.passes.lock().unwrap().push((texts, tokens));
            let first = inputs.input_ids.column(0);
            assert!(!first.iter().any(|&id| id == PANICS), "a bug");
            if first.iter().any(|&id| id == FAILS) {
                return Err(InferError::Shape { found: Vec::new(), texts, tokens });
            }
            Ok(first.mapv(|id| id as f32).insert_axis(ndarray::Axis(1)))
        }
    }

    fn lanes(model: &First, count: usize, padded_tokens: usize) -> Lanes {
        let lane = || Box::new(model.clone()) as Box<dyn Lane>;
        Lanes::new(lane(), (1..count).map(|_| lane()).collect(), Budget { padded_tokens })
    }

    fn text(first: i32, tokens: usize) -> Encoding {
        let mut input_ids = vec![0; tokens];
        input_ids[0] = first;
        Encoding { input_ids, token_type_ids: vec![0; tokens], total_tokens: tokens }
    }

    fn firsts(run: &Run) -> Vec<i32> {
        run.rows.iter().map(|row| row[0] as i32).collect()
    }

    #[test]
    fn rows_stand_in_the_order_of_the_texts() {
        for count in [1, 2, 3] {
            let texts: Vec<Encoding> =
                (0..100).map(|i| text(i, 1 + (i as usize * 7) % 13)).collect();
            let run = lanes(&First::default(), count, 16).run(texts).unwrap();
            assert_eq!(firsts(&run), (0..100).collect::<Vec<_>>());
        }
        let nothing = lanes(&First::default(), 2, 16).run(Vec::new()).unwrap();
        assert_eq!((nothing.rows, nothing.batches), (Vec::new(), 0));
    }

    #[test]
    fn one_caller_has_all_lanes() {
        // Ends only if both lanes are inside at once.
        let model = First { gate: Some(Arc::new(Barrier::new(2))), ..First::default() };
        lanes(&model, 2, 4).run(vec![text(1, 4), text(2, 4)]).unwrap();
    }

    #[test]
    fn callers_that_wait_share_a_pass_and_each_has_its_own_rows() {
        let model = First { gate: Some(Arc::new(Barrier::new(2))), ..First::default() };
        let lanes = lanes(&model, 1, 16);
        thread::scope(|scope| {
            let first = scope.spawn(|| lanes.run(vec![text(1, 4)]));
            // The lane is taken and stands at the gate; two more callers come.
            while !lanes.lock().idle.is_empty() {
                thread::yield_now();
            }
            let run = |id| {
                let lanes = &lanes;
                (id, scope.spawn(move || lanes.run(vec![text(id, 4)])))
            };
            let others: Vec<_> = (2..4).map(run).collect();
            while lanes.lock().waiting.len() < 2 {
                thread::yield_now();
            }
            model.gate.as_ref().unwrap().wait();
            model.gate.as_ref().unwrap().wait();
            assert_eq!(firsts(&first.join().unwrap().unwrap()), [1]);
            for (id, other) in others {
                assert_eq!(firsts(&other.join().unwrap().unwrap()), [id]);
            }
        });
        assert_eq!(*model.passes.lock().unwrap(), [(1, 4), (2, 4)]);
    }

    #[test]
    fn a_pass_takes_what_has_room_and_little_padding() {
        let batch = |texts: usize, width| Batch { texts: (0..texts).collect(), width };
        let budget = Budget { padded_tokens: 100 };
        let mut pass = Pass::default();
        assert!(pass.admits(&batch(1, 500), budget), "the first, whatever its size");
        pass.add(&batch(4, 10));
        pass.shares.push(Share { caller: caller(), batch: batch(4, 10) });
        assert!(pass.admits(&batch(4, 10), budget));
        assert!(pass.admits(&batch(5, 9), budget), "10 more tokens of 85");
        assert!(!pass.admits(&batch(7, 10), budget), "110 tokens");
        assert!(!pass.admits(&batch(1, 20), budget), "40 more tokens of 60");
    }

    fn caller() -> Arc<Caller> {
        let progress = Progress {
            batches: Vec::new(),
            running: 0,
            rows: Vec::new(),
            queue_time: None,
            failure: None,
        };
        let progress = Mutex::new(progress);
        Arc::new(Caller { texts: Vec::new(), entered: Instant::now(), progress })
    }

    #[test]
    fn an_error_is_the_callers_and_the_next_run_works() {
        for bad in [0, 7, 19] {
            let lanes = lanes(&First::default(), 3, 4);
            let id = |i| if i == bad { FAILS } else { i };
            let error = lanes.run((0..20).map(|i| text(id(i), 4)).collect()).unwrap_err();
            assert!(matches!(error, InferError::Shape { .. }), "{error}");
            assert_eq!(firsts(&lanes.run(vec![text(5, 4)]).unwrap()), [5]);
        }
    }

    #[test]
    fn a_panic_is_the_callers_and_the_next_run_works() {
        let lanes = lanes(&First::default(), 2, 4);
        let texts = (0..20).map(|i| text(if i == 3 { PANICS } else { i }, 4)).collect();
        let panic = catch_unwind(AssertUnwindSafe(|| lanes.run(texts))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug"));
        assert_eq!(firsts(&lanes.run(vec![text(5, 4)]).unwrap()), [5]);
    }

    #[test]
    fn a_bad_text_is_not_its_neighbours() {
        let share = |id| {
            let caller = Arc::new(Caller {
                texts: vec![text(id, 4)],
                entered: Instant::now(),
                progress: Mutex::new(Progress {
                    batches: Vec::new(),
                    running: 1,
                    rows: vec![Array1::default(0)],
                    queue_time: None,
                    failure: None,
                }),
            });
            Share { caller, batch: Batch { texts: vec![0], width: 4 } }
        };
        for bad in [FAILS, PANICS] {
            let shares = [share(bad), share(8)];
            let callers: Vec<_> = shares.iter().map(|share| Arc::clone(&share.caller)).collect();
            infer(&mut First::default(), shares.into());
            assert!(callers[0].progress().failure.is_some());
            assert!(callers[1].progress().failure.is_none());
            assert_eq!(callers[1].progress().rows[0], array![8.0]);
        }
    }

    #[test]
    fn many_callers_at_once_all_get_theirs() {
        let lanes = lanes(&First::default(), 2, 32);
        let failed = AtomicBool::new(false);
        thread::scope(|scope| {
            for thread in 0..16 {
                let (lanes, failed) = (&lanes, &failed);
                scope.spawn(move || {
                    for round in 0..50 {
                        let ids: Vec<i32> =
                            (0..1 + round % 5).map(|i| thread * 1_000 + round * 10 + i).collect();
                        let tokens = |id: i32| 1 + id.unsigned_abs() as usize % 11;
                        let texts = ids.iter().map(|&id| text(id, tokens(id))).collect();
                        let run = lanes.run(texts).unwrap();
                        failed.fetch_or(firsts(&run) != ids, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(!failed.load(Ordering::Relaxed));
    }
}
