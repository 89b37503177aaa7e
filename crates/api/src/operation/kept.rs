//! The valid items of a list, for requests whose option `on_error` is `null`.

use semblance::{Cost, ModelError};
use serde::Serialize;
use utoipa::ToSchema;

use super::in_fields;
use crate::body::TokenIds;
use crate::error::ApiError;
use crate::request::{Field, RequestError, Texts};

/// The error of one item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ItemError {
    /// Index of the item in the request.
    pub(crate) index: usize,
    /// Stable code, for programs.
    pub(crate) code: &'static str,
    /// The message. It never contains a text of the request.
    pub(crate) message: String,
}

impl ItemError {
    fn new(index: usize, error: &ApiError) -> Self {
        Self { index, code: error.code().name, message: error.to_string() }
    }
}

/// The items of a list that go through the model.
pub(crate) struct Kept {
    /// Their indices in the request, in order.
    pub(crate) items: Vec<usize>,
    /// The errors of the others, in order; `None` if an invalid item refuses the request.
    pub(crate) errors: Option<Vec<ItemError>>,
}

/// An outcome for the valid items of a list.
pub(crate) struct Listed<T> {
    /// The outcome of the valid items, in order.
    pub(crate) outcome: T,
    /// For each item of the request: its index among the valid ones.
    pub(crate) places: Vec<Option<usize>>,
    /// The errors of the others; `None` if an invalid item refuses the request.
    pub(crate) errors: Option<Vec<ItemError>>,
}

/// The faults of a list that were found when it was read.
pub(crate) struct ListFaults<'a> {
    /// Number of items.
    pub(crate) count: usize,
    /// Whether faults are recorded.
    pub(crate) keeps_good: bool,
    /// The recorded faults, by index.
    pub(crate) faults: &'a [(usize, RequestError)],
}

impl<'a> From<&'a Texts> for ListFaults<'a> {
    fn from(texts: &'a Texts) -> Self {
        let (count, keeps_good) = (texts.as_slice().len(), texts.keeps_good());
        Self { count, keeps_good, faults: texts.faults() }
    }
}

impl<'a> From<&'a TokenIds> for ListFaults<'a> {
    fn from(ids: &'a TokenIds) -> Self {
        Self { count: ids.texts.len(), keeps_good: ids.keeps_good, faults: &ids.faults }
    }
}

impl Kept {
    /// Returns the valid items of a list. If faults are recorded, `check` returns those that the model
    /// finds in the items of these indices; the index of an error counts within them.
    pub(crate) fn new(
        list: ListFaults<'_>,
        field_of: impl Fn(usize) -> Field,
        check: impl FnOnce(&[usize]) -> Result<Vec<ModelError>, ModelError>,
    ) -> Result<Self, ApiError> {
        let all: Vec<usize> = (0..list.count).collect();
        if !list.keeps_good {
            return Ok(Self { items: all, errors: None });
        }
        let faults = list.faults.iter();
        let mut errors: Vec<ItemError> =
            faults.map(|(index, fault)| ItemError::new(*index, &fault.clone().into())).collect();
        let is_invalid = |errors: &[ItemError], index: usize| {
            errors.binary_search_by_key(&index, |error| error.index).is_ok()
        };
        let read: Vec<usize> =
            all.into_iter().filter(|&index| !is_invalid(&errors, index)).collect();
        for fault in check(&read).map_err(|error| in_fields(error, |item| field_of(read[item])))? {
            let Some(item) = fault.index() else { return Err(ApiError::Model(fault)) };
            let error = in_fields(fault, |item| field_of(read[item]));
            errors.push(ItemError::new(read[item], &error));
        }
        errors.sort_by_key(|error| error.index);
        let items = read.into_iter().filter(|&index| !is_invalid(&errors, index)).collect();
        Ok(Self { items, errors: Some(errors) })
    }

    /// Returns the valid texts.
    pub(crate) fn texts<'t>(&self, texts: &'t Texts) -> Vec<&'t str> {
        self.items.iter().map(|&index| texts.as_slice()[index].as_str()).collect()
    }

    /// Converts the indices of truncated texts to indices in the request, and adds the texts of which
    /// a part was removed before. The first `before` texts of the call are not items of the list.
    pub(crate) fn restore(&self, cost: &mut Cost, before: usize, cut: &[usize]) {
        let index_of = |index: &mut usize| {
            if let Some(item) = index.checked_sub(before) {
                *index = self.items[item] + before;
            }
        };
        cost.truncated.iter_mut().for_each(index_of);
        let is_kept = |index: &&usize| self.items.binary_search(index).is_ok();
        cost.truncated.extend(cut.iter().filter(is_kept).map(|index| index + before));
        cost.truncated.sort_unstable();
        cost.truncated.dedup();
    }

    /// Returns the outcome of the valid items as that of a list of `count` items.
    pub(crate) fn listed<T>(self, outcome: T, count: usize) -> Listed<T> {
        let mut places = vec![None; count];
        for (place, &index) in self.items.iter().enumerate() {
            places[index] = Some(place);
        }
        Listed { outcome, places, errors: self.errors }
    }

    /// Returns the scores of the valid items as scores of a list of `count` items. An invalid item has
    /// the score -∞, which ranks last and is null in JSON.
    pub(crate) fn scores(&self, scores: &[f32], count: usize) -> Vec<f32> {
        let mut all = vec![f32::NEG_INFINITY; count];
        for (&index, &score) in self.items.iter().zip(scores) {
            all[index] = score;
        }
        all
    }
}
