//! Memory maps of a bundle's files. The only `unsafe` code of the crate.
#![expect(unsafe_code, reason = "mapping a file is unsafe; the SAFETY comment has the proof")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::{Advice, Mmap};

/// Maps a file of a bundle for reading.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the mapped bytes must not change. A bundle's folder is immutable: it is written under a
    // temporary name and renamed when it is complete. A new bundle has a new folder name.
    unsafe { Mmap::map(&file) }
}

/// Maps a file for random access: the operating system reads only the pages that are accessed.
pub(crate) fn map_sparsely(path: &Path) -> io::Result<Mmap> {
    let map = map(path)?;
    map.advise(Advice::Random)?;
    Ok(map)
}

/// Size of one read-ahead request: the default window of Linux (`read_ahead_kb`). Linux silently
/// truncates a longer request to its window.
const WINDOW_BYTES: usize = 128 << 10;

/// Requests read-ahead of a part of a mapped file. Does not wait, so the requests run concurrently.
pub(crate) fn will_need(map: &Mmap, part: Range<usize>) -> io::Result<()> {
    for start in part.clone().step_by(WINDOW_BYTES) {
        map.advise_range(Advice::WillNeed, start, WINDOW_BYTES.min(part.end - start))?;
    }
    Ok(())
}
