"""The table of words in int8.

A row stands for one token id: its scale, little-endian float32, then `hidden` values in int8. The
row of id i begins at `i * (4 + hidden)` bytes; its embedding is the values times the scale.
"""

from pathlib import Path

import numpy as np

from semblance_model.quantise import quantise_rows
from semblance_model.weights import Array, Weights

WORDS_FILE = "model.words"

_SCALE_BYTES = 4


def write_words(weights: Weights, folder: Path) -> None:
    """Writes the table into `folder`."""
    rows = quantise_rows(weights.tensor("embeddings.word_embeddings.weight"))
    scales = rows.scales.astype("<f4").view(np.int8).reshape(-1, _SCALE_BYTES)
    np.concatenate([scales, rows.values], axis=1).tofile(folder / WORDS_FILE)


def read_words(folder: Path, hidden_size: int) -> Array:
    """The table in `folder` as its reader sees it, `[vocabulary, hidden]`."""
    rows = np.fromfile(folder / WORDS_FILE, np.int8).reshape(-1, _SCALE_BYTES + hidden_size)
    scales = np.ascontiguousarray(rows[:, :_SCALE_BYTES]).view("<f4")
    table: Array = rows[:, _SCALE_BYTES:] * scales
    return table
