//! Pages of mapped files.

use super::simd::PAGE;

/// Reads a value of each page that has some of these values, so that the system adds the pages to the page table of
/// the process.
///
/// Kernels request data ahead of its use. A request for a page that is not in the page table fails after a search of
/// the table, so that all requests cost time and none has an effect. ADR 0010 has the measurement.
pub fn access_pages<T: Copy>(values: &[T]) {
    let step = (PAGE / size_of::<T>().max(1)).max(1);
    for &value in values.iter().step_by(step).chain(values.last()) {
        std::hint::black_box(value);
    }
}
