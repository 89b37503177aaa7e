"""The vocabulary of a Unigram or BPE tokenizer in the binary format of a bundle.

The file holds the pieces and the tables to look them up, so that the reader maps it and builds
nothing. `src/tokenizer/piece_layout.rs` describes the format.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_COUNT = (1 << 24) - 2
"""The largest number of pieces and of merges."""

_HEADER = struct.Struct("<8s6IQ2IdQ")
_MAGIC = b"SEMPIECE"
_VERSION = 1

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)

_Hashes = NDArray[np.uint64]


def pieces_file(
    pieces: Sequence[bytes],
    scores: Sequence[float] | None,
    merges: Sequence[tuple[int, int, int]],
) -> bytes:
    """The bytes of the file: pieces by id, their scores, and merges by rank.

    A merge is the ids of the left, the right and the merged piece. If a pair occurs twice, its last
    rank counts, as in the tokenizers library.
    """
    hashes = _piece_hashes(pieces)
    slots = _table(hashes ^ (hashes >> np.uint64(32)), hashes)
    parts = np.array(merges, np.uint32).reshape(-1, 3)
    pairs = (parts[:, 0].astype(np.uint64) << np.uint64(32)) | parts[:, 1].astype(np.uint64)
    last = {pair: rank for rank, pair in enumerate(pairs.tolist())}
    merge_hashes = pairs * _GOLDEN_RATIO
    merge_slots = _table(merge_hashes >> np.uint64(32), merge_hashes, sorted(last.values()))
    text = b"".join(pieces)
    header = _HEADER.pack(
        _MAGIC,
        _VERSION,
        len(pieces),
        len(slots),
        len(parts),
        len(merge_slots),
        max((len(piece) for piece in pieces), default=0),
        len(text),
        0 if scores is None else 1,
        0,
        min(scores, default=0.0) if scores is not None else 0.0,
        0,
    )
    ends = np.cumsum([len(piece) for piece in pieces]) if pieces else np.empty(0)
    return b"".join(
        [
            header,
            b"" if scores is None else np.array(scores, "<f8").tobytes(),
            ends.astype("<u4").tobytes(),
            slots.astype("<u4").tobytes(),
            parts.astype("<u4").tobytes(),
            merge_slots.astype("<u4").tobytes(),
            text,
        ]
    )


def _piece_hashes(pieces: Sequence[bytes]) -> _Hashes:
    """FNV-1a of each piece, computed for all pieces of one length together."""
    hashes = np.empty(len(pieces), np.uint64)
    by_length: dict[int, list[int]] = {}
    for index, piece in enumerate(pieces):
        by_length.setdefault(len(piece), []).append(index)
    for length, indices in by_length.items():
        joined = b"".join(pieces[index] for index in indices)
        values = np.frombuffer(joined, np.uint8).reshape(len(indices), length)
        hash_ = np.full(len(indices), _FNV_OFFSET)
        for column in range(length):
            hash_ = (hash_ ^ values[:, column].astype(np.uint64)) * _FNV_PRIME
        hashes[indices] = hash_
    return hashes


def _table(
    selectors: _Hashes, hashes: _Hashes, indices: Sequence[int] | None = None
) -> NDArray[np.uint32]:
    """A hash table of `indices`, by default all, with linear probing and at most half full.

    `selectors` select the first slot; the upper byte of a hash is the tag of its entry.
    """
    count = max(1, len(hashes))
    size = 1 << (2 * count - 1).bit_length()
    first = (selectors & np.uint64(size - 1)).tolist()
    entries = ((hashes >> np.uint64(56)) << np.uint64(24)) | np.arange(1, len(hashes) + 1).astype(
        np.uint64
    )
    entry_list = entries.tolist()
    slots = [0] * size
    for index in range(len(hashes)) if indices is None else indices:
        slot = first[index]
        while slots[slot]:
            slot = (slot + 1) & (size - 1)
        slots[slot] = entry_list[index]
    return np.array(slots, np.uint32)
