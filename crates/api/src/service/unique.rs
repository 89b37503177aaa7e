//! Texts without their repetitions: each goes through a model once.

use std::collections::HashMap;
use std::hash::Hash;

use crate::api::{Cut, Field, RequestError};

/// Texts, or pairs of them, without their repetitions.
pub(super) struct Unique<T> {
    /// Each different one, in order of first appearance.
    pub(super) items: Vec<T>,
    /// For each one given, its index in `items`.
    pub(super) members: Vec<usize>,
    /// Of each different one, its tokens before any cut and whether it was cut.
    pub(super) tokens: Vec<(usize, bool)>,
}

impl<T: Copy + Eq + Hash> Unique<T> {
    pub(super) fn of(given: impl Iterator<Item = T>) -> Self {
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
        Self { items, members, tokens: Vec::new() }
    }

    /// Returns the indices of those given that were cut, or the error that the first of them is
    /// where none may be.
    pub(super) fn cut(
        &self,
        cut: Cut,
        limit_tokens: usize,
        field_of: impl Fn(usize) -> Field,
    ) -> Result<Vec<usize>, RequestError> {
        let is_cut = |&(_, &item): &(usize, &usize)| self.tokens[item].1;
        let indices = self.members.iter().enumerate().filter(is_cut).map(|(index, _)| index);
        let indices: Vec<usize> = indices.collect();
        match indices.first() {
            Some(&index) if cut == Cut::Refuse => Err(RequestError::TooManyTokens {
                field: field_of(index),
                tokens: self.tokens[self.members[index]].0,
                limit_tokens,
            }),
            _ => Ok(indices),
        }
    }

    /// Tokens of those given, as far as the model reads them.
    pub(super) fn read_tokens(&self, limit_tokens: usize) -> usize {
        self.members.iter().map(|&item| self.tokens[item].0.min(limit_tokens)).sum()
    }
}
