//! Reading from a disk in several threads.

use std::thread;

use super::error::CorpusError;
use crate::threads::start;

/// Maximum number of threads. They wait for the disk, not for a CPU.
const READERS: usize = 16;

/// Calls a function with each item, for several items at the same time, and returns its results in
/// order. A single item needs no thread.
pub(crate) fn together<I: Copy + Sync, T: Send>(
    items: &[I],
    read: impl Fn(I) -> Result<T, CorpusError> + Sync,
) -> Result<Vec<T>, CorpusError> {
    if items.len() < 2 {
        return items.iter().map(|&item| read(item)).collect();
    }
    let share = items.len().div_ceil(READERS);
    let read = |items: &[I]| items.iter().map(|&item| read(item)).collect::<Result<Vec<T>, _>>();
    thread::scope(|scope| {
        let read = &read;
        let readers: Vec<_> =
            items.chunks(share).map(|items| start(scope, move || read(items))).collect();
        let mut results = Vec::with_capacity(items.len());
        for reader in readers {
            results.extend(reader.join()?);
        }
        Ok(results)
    })
}
