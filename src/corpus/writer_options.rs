//! How an index is written.

use std::time::Duration;

use super::point::Points;
use super::rows_file::RowsFile;

/// How an index is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Maximum number of rows of a segment. It bounds the memory of a writer. The default is 262,144.
    pub segment_rows: usize,
    /// The least recall of the approximate search that is published. The default is 0.95.
    pub min_recall: f64,
    /// How long files of earlier versions are kept, because another host may have mapped them. The
    /// default is 24 hours.
    pub grace: Duration,
    /// Writes the rows of each segment for other programs, if present.
    pub rows_file: Option<RowsFile>,
    /// Called at named points, in tests.
    pub points: Points,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            segment_rows: 262_144,
            min_recall: 0.95,
            grace: Duration::from_secs(24 * 3600),
            rows_file: None,
            points: Points::default(),
        }
    }
}

/// What to do with a row whose id is that of a live row with another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Refuse the row.
    #[default]
    Refuse,
    /// Delete the earlier row.
    Replace,
}
