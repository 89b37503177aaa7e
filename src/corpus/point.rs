//! Named points at which a crash is tested.

use std::fmt;
use std::sync::Arc;

/// The points of a change, in the order in which it reaches them. After a crash at any of them the
/// index has its old version or its new one, and the change can be repeated.
pub const POINTS: [&str; 10] = [
    "staging",
    "shard",
    "segment_files",
    "segment_renamed",
    "tombstones",
    "manifest",
    "manifest_synced",
    "current_written",
    "current_renamed",
    "prune",
];

/// What happens at a point: nothing, except in tests.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<dyn Fn(&'static str) + Send + Sync>>);

impl Points {
    /// Returns points that call a function with their name.
    #[must_use]
    pub fn new(reached: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(reached)))
    }

    pub(crate) fn reach(&self, point: &'static str) {
        if let Some(reached) = &self.0 {
            reached(point);
        }
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Points")
    }
}
