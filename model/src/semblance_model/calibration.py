"""Measures the largest activation of each feature, to scale the channels of an int8 model.

Random token ids replace texts: the int8 model is equally accurate with sentences in a dozen
languages, and ids are available for any model.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save

from semblance_model.export import Export
from semblance_model.export_product import product_inputs
from semblance_model.graph import write_normalized_graph
from semblance_model.inputs import inputs_of
from semblance_model.plain import open_plain
from semblance_model.refusal import Refusal
from semblance_model.shape import Encoder
from semblance_model.weights import Array, Weights
from semblance_model.words import WORDS_TENSOR

_IR_VERSION = 10
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
    _check_finite(largest)
    return largest


def largest_export_activations(export: Export, max_tokens: int) -> dict[str, Array]:
    """The same for the input of each product of an export that has a constant weight."""
    names = product_inputs(export)
    random = np.random.default_rng(_SEED)
    largest: dict[str, Array] = {}
    with TemporaryDirectory() as path:
        session = _session(export, names, Path(path))
        for tokens in sorted({min(it, max_tokens) for it in _TEXT_TOKENS}):
            ids = random.integers(0, len(export.table), (_TEXTS_OF_A_LENGTH, tokens))
            values = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
                "position_ids": np.broadcast_to(np.arange(tokens), ids.shape),
            }
            inputs = {name: values[name] for name in export.inputs}
            for name, rows in zip(names, session.run(names, inputs), strict=True):
                found = np.abs(rows).reshape(-1, rows.shape[-1]).max(axis=0)
                largest[name] = np.maximum(largest.get(name, found), found)
    _check_finite(largest)
    return largest


def _session(export: Export, outputs: list[str], folder: Path) -> onnxruntime.InferenceSession:
    """The optimized export with other outputs."""
    graph = helper.make_graph(
        export.nodes,
        "export",
        [
            helper.make_tensor_value_info(it, TensorProto.INT64, (None, None))
            for it in export.inputs
        ],
        [helper.make_tensor_value_info(it, TensorProto.FLOAT, None) for it in outputs],
        [numpy_helper.from_array(values, name) for name, values in export.constants.items()],
    )
    opsets = [helper.make_opsetid(*it) for it in export.opsets.items()]
    model = helper.make_model(graph, ir_version=_IR_VERSION, opset_imports=opsets)
    path = folder / "export.onnx"
    save(model, path, save_as_external_data=True, location="export.data")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _check_finite(largest: dict[str, Array]) -> None:
    for name, values in largest.items():
        if not np.isfinite(values).all():
            raise Refusal("model.output", f"{name} returned values that are not finite")
