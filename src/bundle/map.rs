//! Memory maps of a bundle's files. The only `unsafe` code of the crate.
#![expect(unsafe_code, reason = "mapping a file is unsafe; the proof is beside it")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::{Advice, Mmap};

/// Maps a file of a bundle for reading.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the mapped bytes must not change. A bundle's folder is immutable: it is written under
    // another name, renamed into place once complete, and replaced by a folder of another name.
    unsafe { Mmap::map(&file) }
}

/// Maps a file of which a few places will be read: the system reads nothing around them.
pub(crate) fn map_sparsely(path: &Path) -> io::Result<Mmap> {
    let map = map(path)?;
    map.advise(Advice::Random)?;
    Ok(map)
}

/// What the system reads ahead at one request, at the least: its default window (`read_ahead_kb`).
/// It cuts a request that is longer down to its window, and says nothing.
const WINDOW_BYTES: usize = 128 << 10;

/// Asks the system to read a part of a mapped file ahead of its use; does not wait for it, so that
/// the requests are under way together.
pub(crate) fn will_need(map: &Mmap, part: Range<usize>) -> io::Result<()> {
    for start in part.clone().step_by(WINDOW_BYTES) {
        map.advise_range(Advice::WillNeed, start, WINDOW_BYTES.min(part.end - start))?;
    }
    Ok(())
}
