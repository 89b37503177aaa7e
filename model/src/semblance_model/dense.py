"""The dense layers after the pooling: `model.dense`, which the reader applies to pooled rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from semblance_model.modules import DenseModule
from semblance_model.panels import panels_of
from semblance_model.refusal import Refusal
from semblance_model.tensors import Tensors, open_tensors
from semblance_model.weights import Array, checked_tensor

DENSE_FILE = "model.dense"


def write_dense(modules: Sequence[DenseModule], folder: Path) -> None:
    """Writes the layers into `folder`: the weight of each in panels, then its bias."""
    if not modules:
        return
    with (folder / DENSE_FILE).open("wb") as file:
        for module in modules:
            for values in _layer(module):
                values.astype("<f4", copy=False).tofile(file)


def _layer(module: DenseModule) -> tuple[Array, Array]:
    with open_tensors(module.checkpoint) as tensors:
        weight = _tensor(tensors, module, "weight", (module.outputs, module.inputs))
        bias = np.zeros(module.outputs, np.float32)
        if module.has_bias:
            bias = _tensor(tensors, module, "bias", (module.outputs,))
    return panels_of(weight), bias


def _tensor(tensors: Tensors, module: DenseModule, kind: str, shape: tuple[int, ...]) -> Array:
    file, name = module.checkpoint.name, f"linear.{kind}"
    if name not in tensors.names():
        raise Refusal("model.tensor_missing", f"{file}: tensor {name} is missing")
    return checked_tensor(file, tensors, name, shape)
