"""The inputs of a bundle's graph for some texts, in the order of the graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from semblance_model.weights import Array


def inputs_of(
    session: onnxruntime.InferenceSession,
    words: Array,
    texts: Sequence[tuple[NDArray[Any], NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """Token ids and types of each text, `[tokens]`, as one pass; `words` is the embedding table."""
    lengths = [len(ids) for ids, _ in texts]
    ids = np.concatenate([ids for ids, _ in texts])
    inputs = {
        "word_embeddings": words[ids],
        "input_ids": ids.astype(np.int32),
        "positions": np.concatenate([np.arange(it, dtype=np.int32) for it in lengths]),
        "token_type_ids": np.concatenate([types for _, types in texts]).astype(np.int32),
        "offsets": np.cumsum([0, *lengths], dtype=np.int32),
    }
    return {it.name: inputs[it.name] for it in session.get_inputs()}
