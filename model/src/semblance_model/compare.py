"""Compares the graph of a bundle with the ONNX export that it was made from."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from semblance_model.export import Export
from semblance_model.inputs import inputs_of
from semblance_model.refusal import Refusal
from semblance_model.weights import Array

# Largest difference of a value, in units of the largest value of the export's output if that is
# above 1.
_TOLERANCE = 1e-5

_SEED = 0
_BATCHES = ((1, 7, 3), (12,), (40, 2, 23, 9))


def compare(
    export: Export,
    session: onnxruntime.InferenceSession,
    words: Array,
    max_tokens: int,
    *,
    pads_left: bool = False,
) -> None:
    """Runs both on random batches, which the export gets padded, as the tokenizer pads.

    Raises `Refusal` if a value differs, or the export rejects as many tokens as a text may have.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    original = onnxruntime.InferenceSession(
        str(export.path), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(_SEED)
    for lengths in (*_BATCHES, (max_tokens,)):
        texts = [random.integers(0, len(words), min(it, max_tokens)) for it in lengths]
        try:
            expected = _run(export, original, texts, pads_left)
            pairs = [(ids, np.zeros_like(ids)) for ids in texts]
            (found,) = session.run(None, inputs_of(session, words, pairs))
        except Exception as error:  # ONNX Runtime raises several classes
            raise Refusal(
                "onnx.mismatch",
                f"{export.file}: a batch of {list(lengths)} tokens fails: {error}".splitlines()[0],
            ) from error
        largest = max(1.0, float(np.abs(expected).max()))
        difference = float(np.abs(found - expected).max()) / largest
        if not difference <= _TOLERANCE:
            raise Refusal(
                "onnx.mismatch",
                f"{export.file}: the bundle differs from the export by {difference:.1e} of the "
                f"largest value on a batch of {list(lengths)} tokens, padded on the "
                f"{'left' if pads_left else 'right'}, more than {_TOLERANCE:.0e}",
            )


def _run(
    export: Export,
    session: onnxruntime.InferenceSession,
    texts: list[NDArray[np.int64]],
    pads_left: bool,
) -> Array:
    """The rows of all texts, one text after the other, or the logits of each."""
    longest = max(map(len, texts))
    lengths = np.array([[len(text)] for text in texts])
    places = np.arange(longest)[np.newaxis]
    mask = places >= longest - lengths if pads_left else places < lengths
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate(texts)
    values = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(ids),
        # Those of a text, from 0, as optimum and transformers count them.
        "position_ids": np.maximum(np.cumsum(mask, axis=1) - 1, 0),
    }
    types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    inputs = {it.name: values[it.name].astype(types[it.type]) for it in session.get_inputs()}
    (output,) = session.run([export.output], inputs)
    rows: Array = output if export.is_logits else output[mask]
    return rows
