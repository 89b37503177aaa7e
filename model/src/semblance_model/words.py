"""The embedding table, in a separate file, because an event reads only a few rows.

Rows are in the order of token ids, little-endian. In fp32 a row is `width` float32 values. In int8
it is a float32 scale, then `width` int8 values; the embedding is the values times the scale.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from semblance_model.quantize import quantize_rows
from semblance_model.weights import Array

Precision = Literal["fp32", "int8"]

WORDS_FILE = "model.words"
WORDS_TENSOR = "embeddings.word_embeddings.weight"

_SCALE_BYTES = 4


def write_words(table: Array, precision: Precision, folder: Path) -> None:
    """Writes the table `[vocabulary, width]` into `folder`."""
    if precision == "fp32":
        table.astype("<f4", copy=False).tofile(folder / WORDS_FILE)
        return
    rows = quantize_rows(table)
    scales = rows.scales.astype("<f4").view(np.int8).reshape(-1, _SCALE_BYTES)
    np.concatenate([scales, rows.values], axis=1).tofile(folder / WORDS_FILE)


def read_words(folder: Path, width: int, precision: Precision) -> Array:
    """The dequantized table in `folder`, `[vocabulary, width]`."""
    if precision == "fp32":
        return np.fromfile(folder / WORDS_FILE, "<f4").reshape(-1, width)
    rows = np.fromfile(folder / WORDS_FILE, np.int8).reshape(-1, _SCALE_BYTES + width)
    scales = np.ascontiguousarray(rows[:, :_SCALE_BYTES]).view("<f4")
    table: Array = rows[:, _SCALE_BYTES:] * scales
    return table
