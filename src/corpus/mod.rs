//! Corpora: vectors of texts, computed once, stored in an index and searched, mined and clustered.
//!
//! ```text
//! <index>/CURRENT                    the digest of the current version; replaced by a rename
//! <index>/manifests/<sha256>.json    versions: source of the vectors, segments, deleted rows, parent
//! <index>/segments/<sha256>/         rows: vectors, codes, texts, metadata; never changed
//! <index>/tombstones/<sha256>.bits   deleted rows of a segment
//! <index>/.staging/                  work that is not published yet
//! ```
//!
//! Everything but `CURRENT` is named by its digest and immutable, so a reader can map the files, and a
//! crash leaves the old version or the new one.

mod approximate;
mod best;
mod bits;
mod catalog;
mod cluster;
mod codes;
mod columns;
mod current;
mod error;
mod exact;
mod files;
mod filter;
mod half;
mod ids;
mod index;
mod labels;
mod line_log;
mod lock;
mod manifest;
mod map;
mod mine;
mod npy;
mod pairs;
mod point;
mod prune;
mod publish;
pub(crate) mod replica;
mod rescore;
mod row_check;
mod rows_file;
mod search;
mod segment;
mod segment_codes;
mod segment_writer;
mod spans;
mod staging;
mod texts;
mod together;
mod unit;
mod unit_rows;
mod value;
mod verify;
mod writer;
mod writer_options;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod tests;

pub use catalog::Catalog;
pub use cluster::{Cluster, ClusterOptions, cluster};
pub use current::use_version;
pub use error::{CorpusError, RowFault};
pub use filter::{Filter, Test};
pub use index::{Index, Row, RowReader};
pub use labels::{ClusterLabel, labels};
pub use manifest::{IndexManifest, Recall, SegmentEntry, VectorPrecision, VectorSource};
pub use map::map;
pub use mine::{MineOptions, Pair, mine};
pub use point::{POINTS, Points};
pub use publish::Published;
pub use rows_file::{RowsFile, SegmentRows};
pub use search::{Hit, SearchOptions, SearchOutput};
pub use value::Value;
pub use verify::IndexVerification;
pub use writer::Writer;
pub use writer_options::{OnDuplicate, WriterOptions};

/// Maximum size of an id in bytes.
pub const MAX_ID_BYTES: usize = 512;

/// Maximum size of the name of a column in bytes.
pub const MAX_COLUMN_BYTES: usize = 128;

/// Maximum number of columns of metadata of a segment.
pub const MAX_COLUMNS: usize = 256;
