//! Several callers, one model.

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
    Encoding { input_ids, token_type_ids: vec![0; tokens], total_tokens: tokens, empty_text: None }
}

fn firsts(run: &Run) -> Vec<i32> {
    run.rows.iter().map(|row| row[0] as i32).collect()
}

/// Takes the model away until this number of callers wait.
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
    assert_eq!(taken(&mut state), [(0, 0)], "a text over the bound has its own pass");
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
