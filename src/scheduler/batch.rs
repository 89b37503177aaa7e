//! Lengths to batches: sorted by length, bounded by padded tokens. Pure.

/// How much one forward pass may hold.
///
/// Padding is the largest loss of a batched transformer, a batch too large for the cache the
/// second; `docs/adr` and the benches hold the figures behind the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most tokens of one batch, padding counted: `texts * longest`.
    pub padded_tokens: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { padded_tokens: 192 }
    }
}

impl Budget {
    /// Returns the budget that gives each of so many free lanes work where there are so many tokens
    /// in all.
    ///
    /// # Examples
    /// ```
    /// use semblance::internals::scheduler::Budget;
    ///
    /// let budget = Budget { padded_tokens: 192 };
    /// assert_eq!(budget.shared_by(2, 61), Budget { padded_tokens: 31 });
    /// assert_eq!(budget.shared_by(2, 5_000), budget);
    /// assert_eq!(budget.shared_by(1, 61), budget, "one lane does all of it");
    /// assert_eq!(budget.shared_by(0, 61), budget, "others are ahead: no lane to spare");
    /// ```
    #[must_use]
    pub fn shared_by(self, lanes: usize, tokens: usize) -> Self {
        if lanes <= 1 {
            return self;
        }
        Self { padded_tokens: self.padded_tokens.min(tokens.div_ceil(lanes)) }
    }
}

/// Texts that go through the model together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Indices of the texts, in the numbering of the caller.
    pub texts: Vec<usize>,
    /// Tokens of the longest: the width every row is padded to.
    pub width: usize,
}

/// Every text in exactly one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    /// The batches, shortest texts first.
    pub batches: Vec<Batch>,
}

impl BatchPlan {
    /// Returns the plan for texts of these lengths (tokens).
    ///
    /// Texts are taken in order of length; a batch is closed when the next text would make
    /// `texts * longest` exceed the budget. A single text over the budget has a batch of its own.
    ///
    /// # Examples
    /// ```
    /// use semblance::internals::scheduler::{Batch, BatchPlan, Budget};
    ///
    /// let plan = BatchPlan::new(&[9, 3, 4], Budget { padded_tokens: 10 });
    /// assert_eq!(
    ///     plan.batches,
    ///     [Batch { texts: vec![1, 2], width: 4 }, Batch { texts: vec![0], width: 9 }]
    /// );
    /// assert_eq!(plan.padded_tokens(), 2 * 4 + 9);
    /// ```
    #[must_use]
    pub fn new(lengths: &[usize], budget: Budget) -> Self {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&text| lengths[text]);
        let mut batches: Vec<Batch> = Vec::new();
        for text in order {
            let width = lengths[text];
            match batches.last_mut() {
                Some(batch)
                    if width.saturating_mul(batch.texts.len() + 1) <= budget.padded_tokens =>
                {
                    batch.texts.push(text);
                    batch.width = width;
                }
                _ => batches.push(Batch { texts: vec![text], width }),
            }
        }
        Self { batches }
    }

    /// Tokens the model will read, padding counted.
    #[must_use]
    pub fn padded_tokens(&self) -> usize {
        self.batches.iter().map(|batch| batch.width * batch.texts.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_text_is_no_batch() {
        assert_eq!(BatchPlan::new(&[], Budget::default()).batches, []);
    }

    #[test]
    fn a_text_over_the_budget_stands_alone() {
        let plan = BatchPlan::new(&[20, 2], Budget { padded_tokens: 10 });
        assert_eq!(
            plan.batches,
            [Batch { texts: vec![1], width: 2 }, Batch { texts: vec![0], width: 20 }]
        );
    }

    #[test]
    fn equal_lengths_keep_their_order() {
        let plan = BatchPlan::new(&[4, 4, 4], Budget { padded_tokens: 8 });
        assert_eq!(
            plan.batches,
            [Batch { texts: vec![0, 1], width: 4 }, Batch { texts: vec![2], width: 4 }]
        );
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_wide_enough_and_no_batch_is_over_budget(
            lengths in proptest::collection::vec(1usize..300, 0..200),
            padded_tokens in 1usize..1024,
        ) {
            let plan = BatchPlan::new(&lengths, Budget { padded_tokens });
            let mut seen: Vec<usize> =
                plan.batches.iter().flat_map(|batch| batch.texts.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &plan.batches {
                let longest = batch.texts.iter().map(|&text| lengths[text]).max();
                prop_assert_eq!(Some(batch.width), longest);
                prop_assert!(
                    batch.texts.len() == 1 || batch.width * batch.texts.len() <= padded_tokens
                );
            }
        }
    }
}
