"""Measures the largest activation of each feature, to scale the channels of an int8 model.

Random token ids replace texts: the int8 model is equally accurate with sentences in a dozen
languages, and ids are available for any model.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from semblance_model.graph import write_normalized_graph
from semblance_model.inputs import inputs_of
from semblance_model.plain import open_plain
from semblance_model.refusal import Refusal
from semblance_model.shape import Encoder
from semblance_model.weights import Array, Weights
from semblance_model.words import WORDS_TENSOR

_SEED = 0
_TEXTS_OF_A_LENGTH = 6
_TEXT_TOKENS = (8, 16, 32, 64, 128)


def largest_activations(encoder: Encoder, weights: Weights, max_tokens: int) -> dict[str, Array]:
    """The largest absolute value of each feature `[hidden]` in the output of each LayerNorm.

    Raises `Refusal` if the model returns values that are not finite.
    """
    words = weights.tensor(WORDS_TENSOR)
    random = np.random.default_rng(_SEED)
    largest: dict[str, Array] = {}
    with TemporaryDirectory() as path:
        folder = Path(path)
        write_normalized_graph(encoder, weights, folder)
        session = open_plain(folder)
        names = [output.name for output in session.get_outputs()]
        for tokens in sorted({min(it, max_tokens) for it in _TEXT_TOKENS}):
            ids = random.integers(0, len(words), (_TEXTS_OF_A_LENGTH, tokens))
            inputs = inputs_of(session, words, [(row, np.zeros_like(row)) for row in ids])
            for name, values in zip(names, session.run(names, inputs), strict=True):
                found = np.abs(values).max(axis=0)
                largest[name] = np.maximum(largest.get(name, found), found)
    for name, values in largest.items():
        if not np.isfinite(values).all():
            raise Refusal("model.output", f"{name} returned values that are not finite")
    return largest
