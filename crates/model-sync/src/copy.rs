//! One file from S3 to disk: ranges side by side, written and hashed in their order.
//!
//! The ranges arrive in parallel, but are handed to the writer in order, so that one pass hashes
//! what it writes: nothing is read twice, from S3 or from disk, and a file that a run leaves is a
//! beginning of the whole that the next run goes on from. What is held is bounded by the ranges on
//! their way, [`PARALLEL_RANGES`], one that waits and one that is written.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::PathBuf;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::bucket::Bucket;
use super::deadline::Deadline;
use super::error::SyncError;
use super::partial::Partial;
use semblance::internals::bundle::BundleFile;

/// Ranges on their way at once.
///
/// With [`RANGE_BYTES`], from `docs/adr/0003-model-sync.md`.
const PARALLEL_RANGES: usize = 8;

/// Bytes of a range; the last one of a file may be shorter.
const RANGE_BYTES: u64 = 4 << 20;

/// Copies a file to `path` and returns the bytes that came from S3; the others were there.
///
/// # Errors
/// - [`SyncError::DigestMismatch`] if the object is not the file that the manifest says.
/// - As [`Bucket::range`] and [`Partial`] otherwise.
pub(crate) async fn copy(
    bucket: &Bucket,
    key: &str,
    file: &BundleFile,
    path: PathBuf,
    deadline: Deadline,
) -> Result<u64, SyncError> {
    let size_bytes = file.size_bytes;
    let mut partial = blocking(move || Partial::open(path, size_bytes)).await?;
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
        // Not the object, but what a crash left of an earlier run, may be what is wrong.
        partial = blocking(move || partial.start_over()).await?;
    }
}

/// Adds the bytes `missing` to the end of a file.
async fn fetch(
    bucket: &Bucket,
    key: &str,
    mut partial: Partial,
    missing: Range<u64>,
    deadline: Deadline,
) -> Result<Partial, SyncError> {
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
                // The writer has failed, and says why.
                break;
            }
        }
        Ok(())
    };
    let fetched = deadline.bound(fetching).await;
    // The writer ends with the blocks that it has: nothing writes once this returns.
    drop(sender);
    let partial = joined(writer.await)?;
    fetched.unwrap_or_else(|| Err(SyncError::TimeUp { key: key.to_owned() }))?;
    Ok(partial)
}

/// Returns ranges of [`RANGE_BYTES`] that cover `bytes` in order, none of them empty.
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

/// Runs what may wait for the disk apart from what waits for the network.
async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, SyncError> + Send + 'static,
) -> Result<T, SyncError> {
    joined(tokio::task::spawn_blocking(step).await)
}

/// Returns what the task returned; a panic goes on in this one.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    // Nobody cancels these tasks.
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
