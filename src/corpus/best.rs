//! The best scores so far.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The largest of the scores that were added.
pub(crate) struct Best {
    count: usize,
    /// At most `count`, the smallest first.
    scores: BinaryHeap<Reverse<Ordered>>,
    reached: f32,
}

/// A score with a total order.
#[derive(Clone, Copy, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Best {
    /// Keeps this number of scores. `count` is not zero.
    pub(crate) fn new(count: usize) -> Self {
        Self { count, scores: BinaryHeap::new(), reached: f32::NEG_INFINITY }
    }

    /// A score that `count` of the added scores reach; minus infinity before that many were added.
    pub(crate) fn reached(&self) -> f32 {
        self.reached
    }

    pub(crate) fn add(&mut self, score: f32) {
        if score > self.reached {
            self.scores.push(Reverse(Ordered(score)));
            if self.scores.len() > self.count {
                self.scores.pop();
            }
            if let (Some(least), true) = (self.scores.peek(), self.scores.len() == self.count) {
                self.reached = least.0.0;
            }
        }
    }

    /// Adds all scores of another one.
    pub(crate) fn merge(&mut self, other: Self) {
        for Reverse(Ordered(score)) in other.scores {
            self.add(score);
        }
    }
}
