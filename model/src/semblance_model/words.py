"""The table of words, a file of its own: an event reads a few rows of it, not its megabytes.

Rows stand one after the other, `[vocabulary, hidden]`, little-endian float32, the row of token id i
at `i * hidden * 4` bytes.
"""

from pathlib import Path

from semblance_model.weights import Weights

WORDS_FILE = "model.words"
WORDS_TENSOR = "embeddings.word_embeddings.weight"


def write_words(weights: Weights, folder: Path) -> None:
    """Writes the table into `folder`."""
    table = weights.tensor(WORDS_TENSOR).astype("<f4", copy=False)
    (folder / WORDS_FILE).write_bytes(table.tobytes())
