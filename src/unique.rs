//! Deduplication of texts, so that each distinct text goes through a model once.

use std::collections::HashMap;
use std::hash::Hash;

use crate::error::ModelError;
use crate::options::Truncation;

/// Texts, or pairs, without repetitions.
pub(crate) struct Unique<T> {
    /// The distinct items, in order of first appearance.
    pub(crate) items: Vec<T>,
    /// For each input item, its index in `items`.
    pub(crate) members: Vec<usize>,
}

/// The token counts of distinct texts.
pub(crate) struct TokenCounts {
    /// For each distinct text: its number of tokens before truncation, and whether it was truncated.
    pub(crate) counts: Vec<(usize, bool)>,
    /// For each distinct text, or pair: the index of the first text in it, 0 or 1, that has only special
    /// tokens.
    pub(crate) empty: Vec<Option<usize>>,
    /// The model's limit.
    pub(crate) limit_tokens: usize,
}

impl<T: Copy + Eq + Hash> Unique<T> {
    pub(crate) fn new(given: impl Iterator<Item = T>) -> Self {
        let mut items = Vec::new();
        let mut known = HashMap::new();
        let members = given
            .map(|item| {
                *known.entry(item).or_insert_with(|| {
                    items.push(item);
                    items.len() - 1
                })
            })
            .collect();
        Self { items, members }
    }

    /// Returns the index of the first input item that equals distinct item `item`.
    pub(crate) fn first(&self, item: usize) -> usize {
        self.members.iter().position(|&member| member == item).unwrap_or(item)
    }

    /// Returns the indices of the input texts that were truncated.
    pub(crate) fn truncated(&self, tokens: &TokenCounts) -> Vec<usize> {
        let is_truncated = |&(_, &item): &(usize, &usize)| tokens.counts[item].1;
        self.members.iter().enumerate().filter(is_truncated).map(|(index, _)| index).collect()
    }

    /// Returns the errors of the input texts, at most one each: [`ModelError::EmptyText`], or
    /// [`ModelError::TooManyTokens`] if truncation is refused.
    pub(crate) fn faults(
        &self,
        tokens: &TokenCounts,
        truncation: Truncation,
    ) -> impl Iterator<Item = ModelError> {
        self.members.iter().enumerate().filter_map(move |(index, &item)| {
            if let Some(text) = tokens.empty[item] {
                return Some(ModelError::EmptyText { index, text });
            }
            let ((count, is_truncated), limit_tokens) = (tokens.counts[item], tokens.limit_tokens);
            (is_truncated && truncation == Truncation::Refuse)
                .then_some(ModelError::TooManyTokens { index, tokens: count, limit_tokens })
        })
    }

    /// Returns the number of tokens of the input texts, after truncation.
    pub(crate) fn read_tokens(&self, tokens: &TokenCounts) -> usize {
        self.members.iter().map(|&item| tokens.counts[item].0.min(tokens.limit_tokens)).sum()
    }
}
