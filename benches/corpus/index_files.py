"""What NumPy reads of an index."""

import json
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def segments(index: Path) -> list[tuple[Path, int]]:
    """Return the folders of the segments, and their numbers of rows."""
    current = (index / "CURRENT").read_text().strip()
    manifest = json.loads((index / "manifests" / f"{current}.json").read_text())
    return [(index / "segments" / part["digest"], part["rows"]) for part in manifest["segments"]]


def vectors(index: Path) -> Array:
    """Return the vectors of an index without deleted rows, [rows, dim], of unit length."""
    parts = [np.load(folder / "vectors.npy", mmap_mode="r") for folder, _ in segments(index)]
    return np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)


def row_ids(index: Path) -> list[str]:
    """Return the ids of the rows, in order."""
    found = []
    for folder, rows in segments(index):
        data = (folder / "texts.bin").read_bytes()
        bounds = np.frombuffer(data[-8 * (2 * rows + 1) :], dtype="<u8")
        pairs = zip(bounds[:-1:2], bounds[1::2], strict=True)
        found += [data[start:end].decode() for start, end in pairs]
    return found


def recall(exact: Array, found: Array) -> float:
    """Return the share of the exact rows that were found."""
    pairs = zip(exact, found, strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in pairs]))
