//! Filters on metadata. A filter becomes a set of rows before candidates are chosen, so it does not cost
//! recall.

use std::cmp::Ordering;

use super::bits::Bits;
use super::error::CorpusError;
use super::segment::Segment;
use super::value::{Value, ValueRef};

/// Which rows to search.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// The value of a column passes a test.
    Column {
        /// Name of the column.
        name: String,
        /// The test.
        test: Test,
    },
    /// All of these hold.
    All(Vec<Filter>),
    /// At least one of these holds.
    Any(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
}

/// A test of a value. Integers and other numbers are one kind; values of different kinds are never
/// equal, and a range contains values of the kind of its bound only. A missing value is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal to one of these. Null is equal to null.
    In(Vec<Value>),
    /// Less than the bound.
    Less(Value),
    /// Less than the bound, or equal to it.
    AtMost(Value),
    /// Greater than the bound.
    Greater(Value),
    /// Greater than the bound, or equal to it.
    AtLeast(Value),
}

impl Test {
    fn passes(&self, value: ValueRef<'_>) -> bool {
        let is = |bound: &Value, test: fn(Ordering) -> bool| {
            // Null has no order.
            *bound != Value::Null && value.compare(bound.as_ref()).is_some_and(test)
        };
        match self {
            Self::In(values) => {
                values.iter().any(|one| value.compare(one.as_ref()) == Some(Ordering::Equal))
            }
            Self::Less(bound) => is(bound, Ordering::is_lt),
            Self::AtMost(bound) => is(bound, Ordering::is_le),
            Self::Greater(bound) => is(bound, Ordering::is_gt),
            Self::AtLeast(bound) => is(bound, Ordering::is_ge),
        }
    }
}

impl Filter {
    /// Checks that each column exists in one of the segments.
    pub(crate) fn check<'a>(
        &self,
        segments: impl Iterator<Item = &'a Segment>,
    ) -> Result<(), CorpusError> {
        let mut known: Vec<&str> = segments.flat_map(|segment| segment.columns.names()).collect();
        known.sort_unstable();
        known.dedup();
        if self.columns().iter().all(|name| known.contains(name)) {
            return Ok(());
        }
        let names: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(CorpusError::UnknownColumn { known })
    }

    fn columns(&self) -> Vec<&str> {
        match self {
            Self::Column { name, .. } => vec![name],
            Self::All(filters) | Self::Any(filters) => {
                filters.iter().flat_map(Self::columns).collect()
            }
            Self::Not(filter) => filter.columns(),
        }
    }

    /// Returns the rows of a segment that pass, deleted ones included.
    pub(crate) fn rows(&self, segment: &Segment) -> Result<Bits, CorpusError> {
        Ok(match self {
            Self::Column { name, test } => column_rows(segment, name, test)?,
            Self::All(filters) => {
                let mut rows = Bits::all(segment.rows);
                for filter in filters {
                    rows.and(&filter.rows(segment)?);
                }
                rows
            }
            Self::Any(filters) => {
                let mut rows = Bits::none(segment.rows);
                for filter in filters {
                    rows.or(&filter.rows(segment)?);
                }
                rows
            }
            Self::Not(filter) => filter.rows(segment)?.not(),
        })
    }
}

fn column_rows(segment: &Segment, name: &str, test: &Test) -> Result<Bits, CorpusError> {
    let Some(column) = segment.columns.get(name) else {
        let passes = test.passes(ValueRef::Null);
        return Ok(if passes { Bits::all(segment.rows) } else { Bits::none(segment.rows) });
    };
    let passes = |code: usize| column.value(code as u32).map(|value| test.passes(value));
    let passing: Option<Vec<bool>> = (0..column.codes()).map(passes).collect();
    let Some(passing) = passing else {
        let reason = format!("a value of the column {name:?} is invalid");
        return Err(CorpusError::damaged(&segment.folder, reason));
    };
    let mut unknown = None;
    // Without a branch for each row: if half of the rows pass, the processor predicts it wrongly.
    let rows = Bits::new(segment.rows, |row| {
        let passes = passing.get(column.code(row) as usize);
        unknown = unknown.or(passes.is_none().then_some(row));
        passes.is_some_and(|&passes| passes)
    });
    match unknown {
        None => Ok(rows),
        Some(row) => {
            let reason = format!("row {row} has an unknown code in the column {name:?}");
            Err(CorpusError::damaged(&segment.folder, reason))
        }
    }
}
