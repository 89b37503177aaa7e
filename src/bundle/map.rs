//! Memory maps of immutable files: those of a bundle and of an index.
#![expect(unsafe_code, reason = "mapping a file is unsafe; the SAFETY comment has the proof")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::Advice;
pub(crate) use memmap2::Mmap;

/// Maps a file of a bundle or of an index for reading.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the mapped bytes must not change. A bundle's folder is immutable: it is written under a
    // temporary name and renamed when it is complete. A new bundle has a new folder name. The same is
    // true for the segments of an index.
    unsafe { Mmap::map(&file) }
}

/// Maps a file for random access: the operating system reads only the pages that are accessed.
pub(crate) fn map_sparsely(path: &Path) -> io::Result<Mmap> {
    let map = map(path)?;
    read_sparsely(&map)?;
    Ok(map)
}

/// Lets the operating system read only the pages that are accessed, as [`map_sparsely`].
pub(crate) fn read_sparsely(map: &Mmap) -> io::Result<()> {
    map.advise(Advice::Random)
}

/// Lets the operating system read ahead in a map whose pages are accessed in order.
pub(crate) fn read_in_order(map: &Mmap) -> io::Result<()> {
    map.advise(Advice::Normal)
}

/// Requests a part of a mapped file that is accessed soon. Does not wait. A hint: a part that cannot be
/// requested, or is not in the file, is read or missed when it is accessed.
pub(crate) fn request(map: &Mmap, part: Range<usize>) {
    if part.start < part.end && part.end <= map.len() {
        let _ = will_need(map, part);
    }
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

/// Types whose values are any bytes.
pub(crate) trait Plain: Copy {}

impl Plain for i8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for f32 {}

/// Returns the values in these bytes, or none if the address or the length does not fit the type.
pub(crate) fn values<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: any bytes are values of a plain type.
    let (before, values, after) = unsafe { bytes.align_to::<T>() };
    (before.is_empty() && after.is_empty()).then_some(values)
}

/// Returns the bytes of values, in the order of the machine.
pub(crate) fn bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: plain types have no padding, and bytes need no alignment.
    unsafe { values.align_to::<u8>() }.1
}
