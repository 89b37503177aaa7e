"""Checks the character map of SentencePiece in a tokenizer's normalizer.

The map is a double array, the trie of Darts (<https://github.com/s-yata/darts-clone>), and the
replacements it points to. A reader follows its offsets without further checks.
"""

import base64
import binascii
from typing import Any

import numpy as np

# A unit of the trie: bits 0-7 are the label, bit 8 marks a node that has a value, bit 9 shifts the
# offset, bits 10-30 are the offset, and bit 31 marks a value.
_HAS_VALUE = 1 << 8
_SHIFTED = 1 << 9
_VALUE = 1 << 31


def find_charsmap_error(normalizer: Any) -> str | None:
    """What is wrong with a character map in `normalizer`, or None."""
    if not isinstance(normalizer, dict):
        return None
    if normalizer.get("type") == "Sequence":
        members = normalizer.get("normalizers")
        errors = map(find_charsmap_error, members if isinstance(members, list) else [])
        return next((error for error in errors if error is not None), None)
    if normalizer.get("type") != "Precompiled":
        return None
    try:
        content = base64.b64decode(str(normalizer.get("precompiled_charsmap")), validate=True)
    except (ValueError, binascii.Error):
        return "precompiled_charsmap is not base64"
    return _error(content)


def _error(content: bytes) -> str | None:
    size = int.from_bytes(content[:4], "little")
    if len(content) < 4 or size == 0 or size % 4 or 4 + size > len(content):
        return "precompiled_charsmap is truncated"
    units = np.frombuffer(content, "<u4", size // 4, 4).astype(np.int64)
    replacements = content[4 + size :]
    try:
        replacements.decode("utf-8")
    except UnicodeDecodeError:
        return "precompiled_charsmap has replacements that are not UTF-8"
    nodes = units & _VALUE == 0
    offsets = (units >> 10) << np.where(units & _SHIFTED, 8, 0)
    # From a node, a reader goes to its position, exclusive or its offset, exclusive or a byte.
    bases = (np.arange(len(units)) ^ offsets)[nodes]
    if bases.size and int((bases | 0xFF).max()) >= len(units):
        return "precompiled_charsmap has an offset outside of its trie"
    with_value = bases[(units[nodes] & _HAS_VALUE) != 0]
    targets = (units[with_value] & (_VALUE - 1)).tolist()
    for target in targets:
        # A replacement starts at a character.
        if target >= len(replacements) or replacements[target] & 0xC0 == 0x80:
            return "precompiled_charsmap has a value outside of its replacements"
    return None
