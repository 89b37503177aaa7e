//! Copies one file from S3 to disk. Ranges are fetched in parallel, and written and hashed in order.
//!
//! Because ranges are written in order, each byte is read and hashed once, and an interrupted copy is
//! a prefix of the file that the next run resumes. Memory is bounded by [`PARALLEL_RANGES`] ranges in
//! flight, one in the channel and one being written.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::PathBuf;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::bucket::Bucket;
use super::deadline::Deadline;
use super::error::SyncError;
use super::partial::PartialFile;
use semblance::internals::bundle::BundleFile;

/// Number of ranges that are fetched concurrently.
///
/// Source of this number and of [`RANGE_BYTES`]: `docs/adr/0003-model-sync.md`.
const PARALLEL_RANGES: usize = 8;

/// Size of a range in bytes. The last range of a file can be shorter.
const RANGE_BYTES: u64 = 4 << 20;

/// Copies a file to `path`. Returns the number of bytes that were fetched from S3; an earlier run had
/// fetched the others.
///
/// # Errors
/// - [`SyncError::DigestMismatch`] if the sha256 of the object differs from the manifest.
/// - As [`Bucket::range`] and [`PartialFile`] otherwise.
pub(crate) async fn copy(
    bucket: &Bucket,
    key: &str,
    file: &BundleFile,
    path: PathBuf,
    deadline: Deadline,
) -> Result<u64, SyncError> {
    let size_bytes = file.size_bytes;
    let mut partial = blocking(move || PartialFile::open(path, size_bytes)).await?;
    let mut fetched_bytes = 0;
    loop {
        let start = partial.written_bytes();
        partial = fetch(bucket, key, partial, start..size_bytes, deadline).await?;
        fetched_bytes += size_bytes - start;
        let found;
        (partial, found) = blocking(move || partial.finish().map(|hash| (partial, hash))).await?;
        if found == file.sha256 {
            return Ok(fetched_bytes);
        }
        if start == 0 {
            let (key, expected) = (key.to_owned(), file.sha256.clone());
            return Err(SyncError::DigestMismatch { key, found, expected });
        }
        // The bytes of the earlier run may be corrupt instead of the object.
        partial = blocking(move || partial.truncate()).await?;
    }
}

/// Fetches the bytes `missing` and appends them to a file.
async fn fetch(
    bucket: &Bucket,
    key: &str,
    mut partial: PartialFile,
    missing: Range<u64>,
    deadline: Deadline,
) -> Result<PartialFile, SyncError> {
    let (sender, mut blocks) = mpsc::channel::<Vec<u8>>(1);
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(block) = blocks.blocking_recv() {
            partial.append(&block)?;
        }
        Ok::<_, SyncError>(partial)
    });
    let mut ranges = stream::iter(ranges(missing))
        .map(|range| bucket.range(key, range))
        .buffered(PARALLEL_RANGES);
    let fetching = async {
        while let Some(block) = ranges.try_next().await? {
            if sender.send(block).await.is_err() {
                // The writer failed and returns its error.
                break;
            }
        }
        Ok(())
    };
    let fetched = deadline.bound(fetching).await;
    // The writer completes its remaining blocks, so nothing is written after this function returns.
    drop(sender);
    let partial = joined(writer.await)?;
    fetched.unwrap_or_else(|| Err(SyncError::TimeUp { key: key.to_owned() }))?;
    Ok(partial)
}

/// Returns non-empty ranges of at most [`RANGE_BYTES`] that cover `bytes` in order.
fn ranges(bytes: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut start = bytes.start;
    std::iter::from_fn(move || {
        (start < bytes.end).then(|| {
            let range = start..bytes.end.min(start + RANGE_BYTES);
            start = range.end;
            range
        })
    })
}

/// Runs a step that can wait for the disk on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, SyncError> + Send + 'static,
) -> Result<T, SyncError> {
    joined(tokio::task::spawn_blocking(step).await)
}

/// Returns the result of a task. A panic of the task is resumed in this one.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    // The tasks are never canceled, so the error is a panic.
    result.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_cover_every_byte_once_and_in_order(
            start in 0..3 * RANGE_BYTES,
            length in 0..5 * RANGE_BYTES,
        ) {
            let mut next = start;
            for range in ranges(start..start + length) {
                prop_assert_eq!(range.start, next);
                prop_assert!(range.start < range.end && range.end - range.start <= RANGE_BYTES);
                next = range.end;
            }
            prop_assert_eq!(next, start + length);
        }
    }
}
