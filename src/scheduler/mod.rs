//! Forward passes for several callers.
//!
//! A pass is any texts one after the other, bounded by their tokens. Whoever finds the model free
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
    /// Returns one row a text, `[texts, dim]`, f32.
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
    /// One row a text, `[dim]`, f32, in the order given.
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
    /// - The first [`InferError`] of a pass; texts that no pass has taken by then are left.
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
    /// is room, the next text of whoever has had the fewest tokens.
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
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use ndarray::array;

    use super::*;

    /// Gives each text its first token; fails and panics on some tokens.
    #[derive(Clone, Default)]
    struct First {
        /// First tokens of the texts of each pass.
        passes: Arc<Mutex<Vec<Vec<i32>>>>,
    }

    const FAILS: i32 = -1;
    const PANICS: i32 = -2;

    impl RowModel for First {
        fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
            let first: Vec<i32> =
                inputs.rows().map(|rows| inputs.input_ids()[rows.start]).collect();
            self.passes.lock().unwrap().push(first.clone());
            assert!(!first.contains(&PANICS), "a bug");
            if first.contains(&FAILS) {
                let (texts, tokens) = (inputs.texts(), inputs.tokens());
                return Err(InferError::Shape { found: Vec::new(), texts, tokens });
            }
            Ok(Array2::from_shape_fn((first.len(), 1), |(text, _)| first[text] as f32))
        }
    }

    fn scheduler(model: &First, pass_tokens: usize) -> Scheduler {
        Scheduler::new(Box::new(model.clone()), pass_tokens)
    }

    fn text(first: i32, tokens: usize) -> Encoding {
        let mut input_ids = vec![0; tokens];
        input_ids[0] = first;
        Encoding { input_ids, token_type_ids: vec![0; tokens], total_tokens: tokens }
    }

    fn firsts(run: &Run) -> Vec<i32> {
        run.rows.iter().map(|row| row[0] as i32).collect()
    }

    /// Takes the model away until so many callers wait.
    fn queued<T>(scheduler: &Scheduler, callers: usize, queue: impl FnOnce() -> T) -> T {
        let model = scheduler.lock().model.take();
        let queued = queue();
        while scheduler.lock().waiting.len() < callers {
            thread::yield_now();
        }
        scheduler.lock().model = model;
        scheduler.changed.notify_all();
        queued
    }

    #[test]
    fn rows_stand_in_the_order_of_the_texts() {
        let scheduler = scheduler(&First::default(), 16);
        let texts = (0..100).map(|i| text(i, 1 + (i as usize * 7) % 13)).collect();
        assert_eq!(firsts(&scheduler.run(texts).unwrap()), (0..100).collect::<Vec<_>>());
        let nothing = scheduler.run(Vec::new()).unwrap();
        assert_eq!((nothing.rows, nothing.passes), (Vec::new(), 0));
    }

    #[test]
    fn a_pass_is_bounded_by_tokens_and_by_nothing_else() {
        let model = First::default();
        let texts = [3, 9, 4, 20, 1, 1].iter().zip(0..).map(|(&tokens, id)| text(id, tokens));
        let run = scheduler(&model, 16).run(texts.collect()).unwrap();
        assert_eq!(*model.passes.lock().unwrap(), [vec![0, 1, 2], vec![3], vec![4, 5]]);
        assert_eq!((run.tokens, run.passes), (38, 3));
    }

    #[test]
    fn callers_that_wait_share_a_pass_and_each_has_its_own_rows() {
        let model = First::default();
        let scheduler = scheduler(&model, 16);
        thread::scope(|scope| {
            let run = |id| {
                let scheduler = &scheduler;
                (id, scope.spawn(move || scheduler.run(vec![text(id, 4)])))
            };
            for (id, caller) in queued(&scheduler, 3, || [run(1), run(2), run(3)]) {
                assert_eq!(firsts(&caller.join().unwrap().unwrap()), [id]);
            }
        });
        let passes = model.passes.lock().unwrap();
        assert!(passes.len() == 1 && passes[0].len() == 3, "{passes:?}");
    }

    #[test]
    fn callers_take_turns_by_tokens_and_new_ones_first() {
        let mut state = scheduler(&First::default(), 10).state.into_inner().unwrap();
        let caller = |tokens: &[usize]| {
            Arc::new(Caller::new(tokens.iter().map(|&tokens| text(0, tokens)).collect()))
        };
        let (long, short) = (caller(&[2; 20]), caller(&[2; 3]));
        let taken = |state: &mut State| -> Vec<(usize, usize)> {
            let shares = state.take_texts(10);
            let of = |it: &Arc<Caller>| {
                let share = shares.iter().find(|share| Arc::ptr_eq(&share.caller, it));
                share.map_or(0, |share| share.texts.len())
            };
            vec![(of(&long), of(&short))]
        };
        state.waiting.push_back(Arc::clone(&long));
        assert_eq!(taken(&mut state), [(5, 0)]);
        state.waiting.push_back(Arc::clone(&short));
        assert_eq!(taken(&mut state), [(2, 3)], "one for its turn, the rest for who had less");
        assert_eq!(taken(&mut state), [(5, 0)]);
        state.waiting.push_front(caller(&[11]));
        assert_eq!(taken(&mut state), [(0, 0)], "a text over the bound has a pass of its own");
    }

    #[test]
    fn an_error_is_the_callers_and_the_next_run_works() {
        for bad in [0, 7, 19] {
            let scheduler = scheduler(&First::default(), 4);
            let id = |i| if i == bad { FAILS } else { i };
            let error = scheduler.run((0..20).map(|i| text(id(i), 4)).collect()).unwrap_err();
            assert!(matches!(error, InferError::Shape { .. }), "{error}");
            assert_eq!(firsts(&scheduler.run(vec![text(5, 4)]).unwrap()), [5]);
        }
    }

    #[test]
    fn a_panic_is_the_callers_and_the_next_run_works() {
        let scheduler = scheduler(&First::default(), 4);
        let texts = (0..20).map(|i| text(if i == 3 { PANICS } else { i }, 4)).collect();
        let panic = catch_unwind(AssertUnwindSafe(|| scheduler.run(texts))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug"));
        assert_eq!(firsts(&scheduler.run(vec![text(5, 4)]).unwrap()), [5]);
    }

    #[test]
    fn a_bad_text_is_not_its_neighbours() {
        let share = |id| {
            let caller = Arc::new(Caller::new(vec![text(id, 4)]));
            let texts = vec![caller.take().unwrap()];
            Share { caller, texts }
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
        let scheduler = scheduler(&First::default(), 32);
        let failed = AtomicBool::new(false);
        thread::scope(|scope| {
            for thread in 0..16 {
                let (scheduler, failed) = (&scheduler, &failed);
                scope.spawn(move || {
                    for round in 0..50 {
                        let ids: Vec<i32> =
                            (0..1 + round % 5).map(|i| thread * 1_000 + round * 10 + i).collect();
                        let tokens = |id: i32| 1 + id.unsigned_abs() as usize % 11;
                        let texts = ids.iter().map(|&id| text(id, tokens(id))).collect();
                        let run = scheduler.run(texts).unwrap();
                        failed.fetch_or(firsts(&run) != ids, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(!failed.load(Ordering::Relaxed));
    }
}
