"""Measures the largest activation of each feature, to scale the channels of an int8 model.

Random token ids replace texts: the int8 model is equally accurate with sentences in a dozen
languages, and ids are available for any model.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

from semblance_model.description import Description
from semblance_model.int8_graph import write_normalized_graph
from semblance_model.onnx_graph import GRAPH_FILE
from semblance_model.refusal import Refusal
from semblance_model.weights import Array, Weights
from semblance_model.words import WORDS_TENSOR

_SEED = 0
_TEXTS_OF_A_LENGTH = 6
_TEXT_TOKENS = (8, 16, 32, 64, 128)


def largest_activations(description: Description, weights: Weights) -> dict[str, Array]:
    """The largest absolute value of each feature `[hidden]` in the output of each LayerNorm.

    Raises `Refusal` if the model returns values that are not finite.
    """
    words = weights.tensor(WORDS_TENSOR)
    random = np.random.default_rng(_SEED)
    largest: dict[str, Array] = {}
    with TemporaryDirectory() as path:
        folder = Path(path)
        write_normalized_graph(description, weights, folder)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            str(folder / GRAPH_FILE), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        for tokens in sorted({min(it, description.max_tokens) for it in _TEXT_TOKENS}):
            ids = random.integers(0, len(words), (_TEXTS_OF_A_LENGTH, tokens))
            inputs = {
                "word_embeddings": words[ids],
                "attention_mask": np.ones(ids.shape, np.int32),
                "token_type_ids": np.zeros(ids.shape, np.int32),
            }
            for name, values in zip(names, session.run(names, inputs), strict=True):
                found = np.abs(values).max(axis=(0, 1))
                largest[name] = np.maximum(largest.get(name, found), found)
    for name, values in largest.items():
        if not np.isfinite(values).all():
            raise Refusal("model.output", f"{name} returned values that are not finite")
    return largest
