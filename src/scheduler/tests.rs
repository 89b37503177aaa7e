//! Several callers, one model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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
        let first: Vec<i32> = inputs.rows().map(|rows| inputs.input_ids()[rows.start]).collect();
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
    Encoding {
        input_ids,
        token_type_ids: vec![0; tokens],
        total_tokens: tokens,
        is_counted: true,
        empty_text: None,
    }
}

/// A flag that nobody sets.
fn never() -> Cancel {
    Cancel::default()
}

fn firsts(run: &Run) -> Vec<i32> {
    run.rows.iter().map(|row| row[0] as i32).collect()
}

/// Takes the model away until this number of callers wait.
fn queued<T>(scheduler: &Scheduler, callers: usize, queue: impl FnOnce() -> T) -> T {
    let model = scheduler.lock().model.take();
    let queued = queue();
    while scheduler.lock().queue.waiting.len() < callers {
        thread::yield_now();
    }
    let mut state = scheduler.lock();
    state.model = model;
    state.queue.wake_next();
    drop(state);
    queued
}

#[test]
fn rows_stand_in_the_order_of_the_texts() {
    let scheduler = scheduler(&First::default(), 16);
    let texts = (0..100).map(|i| text(i, 1 + (i as usize * 7) % 13)).collect();
    assert_eq!(firsts(&scheduler.run(texts, &never()).unwrap()), (0..100).collect::<Vec<_>>());
    let nothing = scheduler.run(Vec::new(), &never()).unwrap();
    assert_eq!((nothing.rows, nothing.passes), (Vec::new(), 0));
}

#[test]
fn a_pass_is_bounded_by_tokens_and_by_nothing_else() {
    let model = First::default();
    let texts = [3, 9, 4, 20, 1, 1].iter().zip(0..).map(|(&tokens, id)| text(id, tokens));
    let run = scheduler(&model, 16).run(texts.collect(), &never()).unwrap();
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
            (id, scope.spawn(move || scheduler.run(vec![text(id, 4)], &never())))
        };
        for (id, caller) in queued(&scheduler, 3, || [run(1), run(2), run(3)]) {
            assert_eq!(firsts(&caller.join().unwrap().unwrap()), [id]);
        }
    });
    let passes = model.passes.lock().unwrap();
    assert!(passes.len() == 1 && passes[0].len() == 3, "{passes:?}");
}

fn caller(tokens: &[usize]) -> Arc<Caller> {
    let texts = tokens.iter().map(|&tokens| text(0, tokens)).collect();
    Arc::new(Caller::new(texts, Output::Rows, Cancel::default()))
}

/// Takes a pass; returns the number of texts of each caller in it.
fn taken<const N: usize>(queue: &mut Queue, callers: [&Arc<Caller>; N]) -> [usize; N] {
    let shares = queue.take_texts();
    callers.map(|caller| {
        let share = shares.iter().find(|share| Arc::ptr_eq(&share.caller, caller));
        share.map_or(0, |share| share.texts.len())
    })
}

#[test]
fn a_new_caller_goes_before_those_under_way() {
    let mut queue = Queue::new(10);
    let (large, larger, small) = (caller(&[4; 20]), caller(&[11; 1_000]), caller(&[3, 3, 3]));
    let callers = [&large, &larger, &small];
    queue.enter(&large);
    queue.enter(&larger);
    assert_eq!(taken(&mut queue, callers), [2, 0, 0]);
    assert_eq!(taken(&mut queue, callers), [0, 1, 0], "a text over the bound has its own pass");
    assert_eq!(taken(&mut queue, callers), [2, 0, 0]);
    queue.enter(&small);
    assert_eq!(taken(&mut queue, callers), [0, 0, 3], "it is done in the next pass");
}

#[test]
fn callers_under_way_have_the_same_number_of_tokens() {
    let mut queue = Queue::new(10);
    let (short, long) = (caller(&[2; 500]), caller(&[20; 500]));
    queue.enter(&short);
    queue.enter(&long);
    let mut tokens = [0, 0];
    for _ in 0..100 {
        let [shorts, longs] = taken(&mut queue, [&short, &long]);
        tokens = [tokens[0] + shorts * 2, tokens[1] + longs * 20];
    }
    assert!(tokens[0].abs_diff(tokens[1]) <= 30, "{tokens:?}");
}

#[test]
fn new_callers_do_not_starve_those_under_way() {
    let mut queue = Queue::new(10);
    let old = caller(&[10; 100]);
    queue.enter(&old);
    queue.take_texts();
    let mut turns = 0;
    for _ in 0..90 {
        queue.enter(&caller(&[10]));
        turns += taken(&mut queue, [&old])[0];
    }
    assert_eq!(turns, 10, "one pass in nine");
}

/// A model whose passes take a while, and that counts them.
struct Counted(Arc<Mutex<usize>>);

impl RowModel for Counted {
    fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        *self.0.lock().unwrap() += 1;
        thread::sleep(Duration::from_millis(2));
        Ok(Array2::zeros((inputs.texts(), 1)))
    }
}

#[test]
fn one_text_is_done_within_two_passes_whatever_is_under_way() {
    let passes = Arc::<Mutex<usize>>::default();
    let scheduler = Scheduler::new(Box::new(Counted(Arc::clone(&passes))), 192);
    let cancel = Cancel::default();
    thread::scope(|scope| {
        for _ in 0..12 {
            let (scheduler, cancel) = (&scheduler, cancel.clone());
            scope.spawn(move || {
                let texts = (0..1_000).map(|_| text(0, 256)).collect();
                assert!(matches!(scheduler.run(texts, &cancel), Err(RunError::Canceled(_))));
            });
        }
        while *passes.lock().unwrap() < 30 {
            thread::yield_now();
        }
        let mut waited = Vec::new();
        for _ in 0..10 {
            let before = *passes.lock().unwrap();
            scheduler.run(vec![text(0, 16)], &never()).unwrap();
            waited.push(*passes.lock().unwrap() - before);
        }
        cancel.cancel();
        // The pass in progress when it asks, its own, and one that can begin before this thread runs.
        assert!(waited.iter().all(|&passes| passes <= 3), "{waited:?}");
    });
    let after = *passes.lock().unwrap();
    assert!(after < 2_000, "canceled callers have no more passes: {after}");
}

#[test]
fn a_canceled_caller_ends_at_the_next_pass() {
    let model = First::default();
    let scheduler = scheduler(&model, 4);
    let cancel = Cancel::default();
    thread::scope(|scope| {
        let (canceled, other) = queued(&scheduler, 2, || {
            let texts = |first| (first..first + 50).map(|i| text(i, 4)).collect::<Vec<_>>();
            let (scheduler, flag) = (&scheduler, cancel.clone());
            let canceled = scope.spawn(move || scheduler.run(texts(0), &flag));
            let other = scope.spawn(move || scheduler.run(texts(100), &never()));
            cancel.cancel();
            (canceled, other)
        });
        assert!(matches!(canceled.join().unwrap(), Err(RunError::Canceled(_))));
        assert_eq!(firsts(&other.join().unwrap().unwrap()), (100..150).collect::<Vec<_>>());
    });
    let passes = model.passes.lock().unwrap();
    assert!(passes.iter().flatten().all(|&first| first >= 100), "{passes:?}");
}

#[test]
fn an_error_is_the_callers_and_the_next_run_works() {
    for bad in [0, 7, 19] {
        let scheduler = scheduler(&First::default(), 4);
        let id = |i| if i == bad { FAILS } else { i };
        let error = scheduler.run((0..20).map(|i| text(id(i), 4)).collect(), &never()).unwrap_err();
        assert!(matches!(error, RunError::Infer(InferError::Shape { .. })), "{error}");
        assert_eq!(firsts(&scheduler.run(vec![text(5, 4)], &never()).unwrap()), [5]);
    }
}

#[test]
fn a_panic_is_the_callers_and_the_next_run_works() {
    let scheduler = scheduler(&First::default(), 4);
    let texts = (0..20).map(|i| text(if i == 3 { PANICS } else { i }, 4)).collect();
    let panic = catch_unwind(AssertUnwindSafe(|| scheduler.run(texts, &never()))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug"));
    assert_eq!(firsts(&scheduler.run(vec![text(5, 4)], &never()).unwrap()), [5]);
}

#[test]
fn a_bad_text_is_not_its_neighbours() {
    let share = |id| {
        let caller = Arc::new(Caller::new(vec![text(id, 4)], Output::Rows, never()));
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
                    let run = scheduler.run(texts, &never()).unwrap();
                    failed.fetch_or(firsts(&run) != ids, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(!failed.load(Ordering::Relaxed));
}

/// A model that needs two milliseconds for a pass.
struct Slow(Arc<Mutex<usize>>);

impl RowModel for Slow {
    fn rows(&mut self, inputs: &Inputs) -> Result<Array2<f32>, InferError> {
        thread::sleep(Duration::from_millis(2));
        *self.0.lock().unwrap() += 1;
        Ok(Array2::zeros((inputs.texts(), 1)))
    }
}

fn due_in(seconds: f64) -> Cancel {
    never().with_deadline(Some(Instant::now() + Duration::from_secs_f64(seconds)))
}

#[test]
fn a_call_that_cannot_end_in_time_fails_early() {
    let passes = Arc::<Mutex<usize>>::default();
    let scheduler = Scheduler::new(Box::new(Slow(Arc::clone(&passes))), 16);
    let texts = |count| (0..count).map(|_| text(0, 16)).collect::<Vec<_>>();
    let error = scheduler.run(texts(1_000), &due_in(0.5)).unwrap_err();
    let RunError::TooMuchWork(TooMuchWork { tokens, estimate, available }) = error else {
        panic!("{error}")
    };
    assert_eq!(tokens, 16_000);
    assert!(estimate >= Duration::from_secs(2) && available <= Duration::from_millis(500));
    assert_eq!(*passes.lock().unwrap(), 9, "the first pass, and those of the measurement");
    let error = scheduler.run(texts(1_000), &due_in(0.5)).unwrap_err();
    assert!(matches!(error, RunError::TooMuchWork(_)));
    assert_eq!(
        *passes.lock().unwrap(),
        10,
        "every call has a pass, so that the measurement is fresh"
    );
    assert_eq!(scheduler.run(texts(20), &due_in(600.0)).unwrap().passes, 20);
}

#[test]
fn a_call_that_is_late_because_of_others_does_not_fail() {
    let scheduler = Scheduler::new(Box::new(Slow(Arc::default())), 16);
    let texts = |count| (0..count).map(|_| text(0, 16)).collect::<Vec<_>>();
    scheduler.run(texts(20), &never()).unwrap();
    thread::scope(|scope| {
        let late = queued(&scheduler, 1, || {
            let scheduler = &scheduler;
            let late = scope.spawn(move || scheduler.run(texts(10), &due_in(1.0)));
            while scheduler.lock().queue.waiting.is_empty() {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(1_100));
            late
        });
        assert_eq!(late.join().unwrap().unwrap().passes, 10);
    });
}
