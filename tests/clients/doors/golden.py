"""What sentence-transformers gives for the golden texts, and the event of the README."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doors import REPOSITORY

# Bounds of the Rust tests: largest difference of an element, and of a score.
ELEMENT_TOLERANCE = 2e-5
SCORE_TOLERANCE = 1e-5

# Tokens that the default model reads of a text.
MAX_TOKENS = 256

Vectors = NDArray[np.float32]

_GOLDEN = json.loads((REPOSITORY / "tests/data/golden/all-minilm-l6-v2.json").read_text())


@dataclass(frozen=True)
class GoldenText:
    """A text and what the model makes of it."""

    text: str
    tokens: int
    truncated: bool
    # [dim], unit length.
    embedding: Vectors


GOLDEN = [
    GoldenText(
        item["text"],
        int(item["tokens"]),
        bool(item["truncated"]),
        np.array(item["embedding"], dtype=np.float32),
    )
    for item in _GOLDEN["texts"]
    # A text without tokens besides [CLS] and [SEP] is refused.
    if item["tokens"] > 2
]

# The texts that no route must truncate.
WHOLE = [item for item in GOLDEN if not item.truncated]

# A text that every route must truncate or reject.
TOO_LONG = next(item for item in GOLDEN if item.truncated)

# The event of the README.
EVENT: dict[str, Any] = json.loads((REPOSITORY / "tests/events/london.json").read_text())
QUERY: str = EVENT["query_from_app"]
CANDIDATES: list[str] = EVENT["actual_queries"]
SCORES = [float(item["score"]) for item in _GOLDEN["example"]["scores"]]


def stacked(items: Sequence[GoldenText]) -> Vectors:
    """Their embeddings, [texts, dim], rows of unit length."""
    return np.stack([item.embedding for item in items])


def largest_difference(a: Vectors, b: Vectors) -> float:
    """The largest difference of an element of two arrays of one shape."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())


def shortened(rows: Vectors, dimensions: int) -> Vectors:
    """The first dimensions of each row, at unit length again."""
    cut = rows[:, :dimensions].astype(np.float64)
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    unit: Vectors = (cut / lengths).astype(np.float32)
    return unit
