//! The rewrite rules of a SentencePiece tokenizer, `precompiled_charsmap`. The library indexes into them
//! unchecked, so they are validated before it reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Checks the rules in base64: the size of a trie in bytes (u32), the trie, and the replacements in
/// UTF-8, each of which ends with U+0000. All numbers are little-endian.
///
/// The trie is a double array of u32 units. Bits 0 to 7 of a unit and bit 31 are its label, which a
/// search compares with a byte before it uses the rest. Bit 8 tells whether there is a value, and bits
/// 10 to 30 are an offset, shifted by 8 if bit 9 is set. The exclusive or of a unit's index, its offset
/// and the next byte is the index of the next unit; without the byte, it is that of the value, whose
/// bits 0 to 30 are the index of a replacement.
///
/// Source: Darts-clone (<https://github.com/s-yata/darts-clone>), as SentencePiece and the crate
/// `spm_precompiled` use it.
pub(super) fn check(charsmap: &str) -> Result<(), &'static str> {
    let bytes = STANDARD.decode(charsmap).map_err(|_| "precompiled_charsmap is not base64")?;
    let (size, rest) = bytes.split_first_chunk().ok_or("precompiled_charsmap has no size")?;
    let size = u32::from_le_bytes(*size) as usize / 4 * 4;
    let (trie, replacements) =
        rest.split_at_checked(size).ok_or("the trie of precompiled_charsmap is too short")?;
    let replacements =
        str::from_utf8(replacements).map_err(|_| "the replacements are not UTF-8")?;
    let (units, _) = trie.as_chunks();
    let unit = |index: usize| units.get(index).map(|&unit| u32::from_le_bytes(unit));
    for index in 0..units.len().max(1) {
        let unit_value = unit(index).ok_or("the trie of precompiled_charsmap is empty")?;
        // A search never gets past the label of a value. It does not compare the label of the root.
        if index > 0 && unit_value >> 31 == 1 {
            continue;
        }
        let next = index ^ ((unit_value >> 10) << ((unit_value & (1 << 9)) >> 6)) as usize;
        // The next byte can be any.
        if next | 0xff >= units.len() {
            return Err("a unit of precompiled_charsmap points beyond the trie");
        }
        let value = unit(next).unwrap_or_default() & ((1 << 31) - 1);
        if index > 0 && unit_value >> 8 & 1 == 1 && !replacements.is_char_boundary(value as usize) {
            return Err("a value of precompiled_charsmap points beyond the replacements");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a trie of a block with these units, and replacements.
    fn encoded(units: &[(usize, u32)], size: u32, replacements: &[u8]) -> String {
        let mut trie = vec![0_u32; 256];
        for &(index, unit) in units {
            trie[index] = unit;
        }
        let trie = trie.iter().flat_map(|unit| unit.to_le_bytes());
        STANDARD.encode([&size.to_le_bytes()[..], &trie.collect::<Vec<_>>(), replacements].concat())
    }

    #[test]
    fn rules_that_the_library_can_read_are_accepted() {
        // "a" has the value 0, which is "b".
        let units = [(usize::from(b'a'), u32::from(b'a') | 1 << 8 | 1 << 10), (96, 1 << 31)];
        let charsmap = encoded(&units, 1_024, b"b\0");
        assert_eq!(check(&charsmap), Ok(()));
        let rules = spm(&charsmap);
        assert_eq!(rules.normalize_string("cab"), "cbb");
    }

    fn spm(charsmap: &str) -> tokenizers::normalizers::Precompiled {
        let json = format!(r#"{{"type": "Precompiled", "precompiled_charsmap": "{charsmap}"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn rules_on_which_the_library_panics_are_refused() {
        let leaf = |offset: u32| (usize::from(b'a'), u32::from(b'a') | 1 << 8 | offset << 10);
        let cases = [
            ("%".to_owned(), "not base64"),
            (STANDARD.encode([1, 0, 0]), "no size"),
            (STANDARD.encode([0; 4]), "empty"),
            (encoded(&[], 1 << 31, b""), "too short"),
            (encoded(&[], 2_000, b""), "too short"),
            (encoded(&[], 1_024, b"\xff"), "not UTF-8"),
            (encoded(&[], 1_000, b""), "beyond the trie"),
            (encoded(&[(0, 1 << 20)], 1_024, b""), "beyond the trie"),
            (encoded(&[leaf(1 << 12)], 1_024, b""), "beyond the trie"),
            (encoded(&[leaf(1), (96, 1 << 31 | 5)], 1_024, b"b\0"), "beyond the replacements"),
            (encoded(&[leaf(1), (96, 1 << 31 | 1)], 1_024, "é\0".as_bytes()), "the replacements"),
        ];
        for (charsmap, reason) in cases {
            let error = check(&charsmap).unwrap_err();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
