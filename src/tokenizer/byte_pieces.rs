//! The pieces that represent single bytes.

use super::pieces::Pieces;

/// Returns the pieces `<0x00>` to `<0xFF>` of the bytes of a text, or `None` if one is not in the
/// vocabulary.
pub(super) fn byte_pieces(pieces: &Pieces, text: &str) -> Option<Vec<u32>> {
    text.bytes().map(|byte| pieces.id(&format!("<0x{byte:02X}>"))).collect()
}
