"""What the builder says about a finished bundle: its size, its start, its error and its speed."""

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semblance_model.inputs import inputs_of
from semblance_model.plain import open_plain
from semblance_model.weights import Array
from semblance_model.words import read_words

# A mount of the file systems that Lambda offers, as docs/performance.md measures it.
_MOUNT_BYTES_PER_SECOND = 300 * 2**20

_SEED = 1
_TEXTS, _TEXT_TOKENS = 24, (4, 48)

_SENTENCE = "The committee decided in the morning that the new bridge will open in spring."
_SENTENCES = 96


def size_line(bundle: Path, files: dict[str, Any]) -> str:
    """The size of a bundle, and what a cold start reads: all but the embedding table."""
    size = sum(file.stat().st_size for file in bundle.iterdir())
    read = size - files["words"]["size_bytes"]
    seconds = read / _MOUNT_BYTES_PER_SECOND
    return (
        f"{size / 1e6:.1f} MB; a cold start reads {read / 1e6:.1f} MB, {seconds:.2f} s at 300 MiB/s"
    )


def int8_line(folder: Path, fp32: Path, table: Array, max_tokens: int) -> str:
    """The error of the int8 model in `folder` on random texts, against the graph in `fp32`.

    `table` is the embedding table in fp32.
    """
    random = np.random.default_rng(_SEED)
    lengths = random.integers(*_TEXT_TOKENS, _TEXTS)
    texts = [random.integers(0, len(table), min(it, max_tokens)) for it in lengths]
    narrow = _outputs(folder, read_words(folder, table.shape[1], "int8"), texts)
    wide = _outputs(fp32, table, texts)
    # Logits have one row for each text, embeddings one for each token.
    if len(wide) == len(texts):
        errors = np.abs(narrow - wide)
        spread = float(np.ptp(wide))
        return (
            f"int8 against fp32, {_TEXTS} random texts: a logit differs by {errors.mean():.4f} in "
            f"the mean and {errors.max():.4f} at most, of a range of {spread:.2f}"
        )
    scores = [_scores(output, texts) for output in (narrow, wide)]
    errors = np.abs(scores[0] - scores[1])
    return (
        f"int8 against fp32, {len(errors)} pairs of random texts, mean pooling: a cosine differs "
        f"by {errors.mean():.4f} in the mean and {errors.max():.4f} at most"
    )


def _outputs(folder: Path, table: Array, texts: Sequence[NDArray[np.int64]]) -> Array:
    session = open_plain(folder)
    pairs = [(ids, np.zeros_like(ids)) for ids in texts]
    (output,) = session.run(None, inputs_of(session, table, pairs))
    rows: Array = output
    return rows


def _scores(tokens: Array, texts: Sequence[NDArray[np.int64]]) -> Array:
    """The cosine of each pair of different texts."""
    ends = np.cumsum([len(ids) for ids in texts])[:-1]
    rows = np.array([part.mean(axis=0) for part in np.split(tokens, ends)])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    scores: Array = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return scores


def speed_line(bundle: Path) -> str | None:
    """The speed of a bundle of an embedding model, if the program `semblance` is there."""
    program = shutil.which("semblance") or shutil.which("target/release/semblance")
    if program is None:
        return None
    try:
        start, _ = _timed(program, bundle, 1)
        whole, tokens = _timed(program, bundle, _SENTENCES)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return f"{tokens / max(whole - start, 1e-9):,.0f} tokens per second in {program}"


def _timed(program: str, bundle: Path, sentences: int) -> tuple[float, int]:
    """Seconds of a run over sentences that all differ, and their tokens."""
    lines = "".join(f"{index} {_SENTENCE}\n" for index in range(sentences))
    started = time.perf_counter()
    finished = subprocess.run(
        [program, "embed", "--bundle", str(bundle)],
        input=lines,
        text=True,
        capture_output=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    return seconds, sum(json.loads(line)["tokens"] for line in finished.stdout.splitlines())
