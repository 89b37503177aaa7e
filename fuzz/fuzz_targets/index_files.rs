//! The files of a segment: NumPy headers, vectors, codes, offsets of texts, ids, metadata, deleted rows.
//! Bytes are overwritten at any place; the manifest has the right sizes and digests.
#![no_main]

#[path = "../src/index.rs"]
mod index;

use index::{base, try_index};
use libfuzzer_sys::fuzz_target;
use semblance::internals::bundle::sha256_hex;

fuzz_target!(|edits: Vec<(u8, u16, u8, bool)>| {
    let mut changed = base().clone();
    for (file, at, value, is_from_end) in edits {
        let files = changed.files.len() + 1;
        let bytes = match usize::from(file) % files {
            0 => &mut changed.tombstones,
            number => changed.files.values_mut().nth(number - 1).unwrap(),
        };
        let at = usize::from(at) % bytes.len();
        let at = if is_from_end { bytes.len() - 1 - at } else { at };
        bytes[at] = value;
    }
    let mut segment = String::from_utf8(changed.segment.clone()).unwrap();
    for (name, bytes) in &changed.files {
        segment = segment.replace(&sha256_hex(&base().files[name]), &sha256_hex(bytes));
    }
    changed.segment = segment.into_bytes();
    try_index(&changed);
});
