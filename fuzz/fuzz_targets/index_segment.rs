//! The manifest of a segment: any bytes are refused, or every operation returns.
#![no_main]

#[path = "../src/index.rs"]
mod index;

use index::{Base, base, try_index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|segment: &[u8]| {
    try_index(&Base { segment: segment.to_vec(), ..base().clone() });
});
