//! Several forward passes at a time, each on a thread of its own.
//!
//! Batches are independent, so two sessions of one thread waste less than one session of two,
//! which meet after every operator; ADR 0004 has the measurement.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::infer::{Infer, InferError};

/// Copies of one model that run side by side; at least one.
pub struct Lanes {
    first: Box<dyn Infer>,
    others: Vec<Box<dyn Infer>>,
}

impl Lanes {
    /// Returns as many lanes as there are models; all must be the same model.
    #[must_use]
    pub fn new(first: Box<dyn Infer>, others: Vec<Box<dyn Infer>>) -> Self {
        Self { first, others }
    }

    /// How many forward passes run at a time.
    pub(super) fn count(&self) -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(self.others.len())
    }

    /// Works on each item in the lane that is free first, the last item first, and returns what
    /// came of them in their order.
    ///
    /// # Errors
    /// The first error of a lane; what is not begun by then is left.
    pub(super) fn run<I: Sync, T: Send>(
        &mut self,
        items: &[I],
        work: impl Fn(&mut dyn Infer, &I) -> Result<T, InferError> + Sync,
    ) -> Result<Vec<T>, InferError> {
        let queue = Queue { items, taken: AtomicUsize::new(0) };
        let wanted = items.len().saturating_sub(1).min(self.others.len());
        let (first, others) = (&mut self.first, &mut self.others[..wanted]);
        let (queue, work) = (&queue, &work);
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = others
                .iter_mut()
                .map(|lane| scope.spawn(move || queue.drain(lane.as_mut(), work)))
                .collect();
            let mut done = queue.drain(first.as_mut(), work)?;
            for lane in others {
                done.extend(lane.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            Ok::<_, InferError>(done)
        })?;
        done.sort_unstable_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }
}

/// Items that are taken from the end.
struct Queue<'a, I> {
    items: &'a [I],
    taken: AtomicUsize,
}

impl<I> Queue<'_, I> {
    fn take(&self) -> Option<usize> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        self.items.len().checked_sub(taken + 1)
    }

    fn close(&self) {
        self.taken.store(self.items.len(), Ordering::Relaxed);
    }

    /// Works on items until none is left; returns them with their indices.
    fn drain<T>(
        &self,
        lane: &mut dyn Infer,
        work: impl Fn(&mut dyn Infer, &I) -> Result<T, InferError>,
    ) -> Result<Vec<(usize, T)>, InferError> {
        let mut done = Vec::new();
        while let Some(index) = self.take() {
            let result = work(lane, &self.items[index]).inspect_err(|_| self.close())?;
            done.push((index, result));
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    use ndarray::Array3;

    use super::*;
    use crate::infer::Inputs;

    struct Idle;

    impl Infer for Idle {
        fn token_embeddings(&mut self, _: &Inputs) -> Result<Array3<f32>, InferError> {
            Ok(Array3::zeros((0, 0, 0)))
        }
    }

    fn lanes(count: usize) -> Lanes {
        let others = (1..count).map(|_| Box::new(Idle) as Box<dyn Infer>).collect();
        Lanes::new(Box::new(Idle), others)
    }

    fn failed(texts: usize) -> InferError {
        InferError::Shape { found: Vec::new(), texts, tokens: 0 }
    }

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for count in [1, 2, 3] {
            let doubled = lanes(count).run(&items, |_, &item| Ok(2 * item)).unwrap();
            assert_eq!(doubled, (0..100).map(|item| 2 * item).collect::<Vec<_>>());
        }
        assert_eq!(lanes(2).run(&[], |_, &(): &()| Ok(())).unwrap(), []);
    }

    #[test]
    fn items_are_worked_on_at_the_same_time() {
        // Ends only if both lanes are inside at once.
        let both = Barrier::new(2);
        lanes(2).run(&[(), ()], |_, ()| Ok(both.wait().is_leader())).unwrap();
    }

    #[test]
    fn an_error_of_any_lane_is_returned() {
        for bad in [0, 7, 19] {
            let items: Vec<usize> = (0..20).collect();
            let error = lanes(3)
                .run(&items, |_, &item| if item == bad { Err(failed(bad)) } else { Ok(()) })
                .unwrap_err();
            assert!(matches!(error, InferError::Shape { texts, .. } if texts == bad), "{error}");
        }
    }

    #[test]
    fn a_panic_of_any_lane_is_the_callers() {
        let items: Vec<usize> = (0..20).collect();
        let mut lanes = lanes(2);
        let run = || lanes.run(&items, |_, &item| if item == 3 { panic!("a bug") } else { Ok(()) });
        let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug"));
        assert_eq!(lanes.run(&items, |_, &item| Ok(item)).unwrap(), items);
    }
}
