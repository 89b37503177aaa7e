//! The manifest of a version of an index: any bytes are refused, or every operation returns.
#![no_main]

#[path = "../src/index.rs"]
mod index;

use index::{Base, base, try_index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|manifest: &[u8]| {
    try_index(&Base { manifest: manifest.to_vec(), ..base().clone() });
});
