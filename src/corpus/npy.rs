//! The header of a NumPy file. Every file of rows starts with one, so that other programs can map it.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1.0.

/// Size of the header in bytes. NumPy pads it to a multiple of 64.
pub(crate) const HEADER_BYTES: usize = 128;

/// Returns the header of an array `[rows, columns]`. `kind` is a type such as `<f4`.
pub(crate) fn header(kind: &str, rows: usize, columns: usize) -> Vec<u8> {
    let fields =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((HEADER_BYTES - 10) as u16).to_le_bytes());
    header.extend(fields.as_bytes());
    header.resize(HEADER_BYTES - 1, b' ');
    header.push(b'\n');
    header
}
