"""The tensors of a BERT checkpoint: names, shapes, and values as fp32."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from semblance_model.description import Description
from semblance_model.refusal import Refusal

Array = NDArray[np.float32]

# Widening these to fp32 is lossless.
_DTYPES = ("F32", "F16", "BF16")

# Names of the two tensors of a LayerNorm in checkpoints converted from the first release.
_OLD_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def expected_tensors(description: Description) -> dict[str, tuple[int, ...]]:
    """Name without the prefix `bert.`, and shape, of every tensor that the graph needs."""
    shape = description.shape
    hidden, wide = shape.hidden_size, shape.intermediate_size
    tensors: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (shape.vocabulary_size, hidden),
        "embeddings.position_embeddings.weight": (shape.positions, hidden),
        "embeddings.token_type_embeddings.weight": (shape.token_types, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for index in range(shape.layers):
        layer = f"encoder.layer.{index}"
        for name, rows, columns in (
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", wide, hidden),
            ("output.dense", hidden, wide),
        ):
            tensors[f"{layer}.{name}.weight"] = (rows, columns)
            tensors[f"{layer}.{name}.bias"] = (rows,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"{layer}.{name}.weight"] = (hidden,)
            tensors[f"{layer}.{name}.bias"] = (hidden,)
    if description.labels is not None:
        tensors["pooler.dense.weight"] = (hidden, hidden)
        tensors["pooler.dense.bias"] = (hidden,)
        tensors["classifier.weight"] = (description.labels, hidden)
        tensors["classifier.bias"] = (description.labels,)
    return tensors


class Weights:
    """A safetensors file with every expected tensor, in the right shape and finite."""

    def __init__(self, file: Any, stored_names: dict[str, str]) -> None:
        self._file = file
        self._stored_names = stored_names

    def tensor(self, name: str) -> Array:
        """The tensor `name` of `expected_tensors`, widened to fp32."""
        values = self._file.get_tensor(self._stored_names[name])
        return np.ascontiguousarray(values, dtype=np.float32)


@contextmanager
def open_weights(path: Path, description: Description) -> Iterator[Weights]:
    """Opens the checkpoint of a description; raises `Refusal` if a tensor is missing or invalid."""
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise Refusal("model.weights_format", f"{path.name}: not safetensors: {error}") from error
    with file as tensors:
        present = set(tensors.keys())
        stored_names = {
            name: _stored_name(path.name, name, present) for name in expected_tensors(description)
        }
        weights = Weights(tensors, stored_names)
        for name, shape in expected_tensors(description).items():
            _check(path.name, tensors.get_slice(stored_names[name]), stored_names[name], shape)
            if not np.isfinite(weights.tensor(name)).all():
                raise Refusal(
                    "model.tensor_values",
                    f"{path.name}: tensor {stored_names[name]} contains values that are not finite",
                )
        yield weights


def _stored_name(file: str, name: str, present: set[str]) -> str:
    names = [name, f"bert.{name}"]
    for new, old in _OLD_NAMES.items():
        if name.endswith(new):
            aged = name.removesuffix(new) + old
            names += [aged, f"bert.{aged}"]
    for candidate in names:
        if candidate in present:
            return candidate
    raise Refusal("model.tensor_missing", f"{file}: tensor {name} is missing")


def _check(file: str, tensor: Any, name: str, shape: tuple[int, ...]) -> None:
    found = tuple(tensor.get_shape())
    if found != shape:
        raise Refusal(
            "model.tensor_shape",
            f"{file}: tensor {name} has shape {list(found)}, expected {list(shape)} of config.json",
        )
    dtype = tensor.get_dtype()
    if dtype not in _DTYPES:
        raise Refusal(
            "model.tensor_type",
            f"{file}: tensor {name} has type {dtype}, expected one of {', '.join(_DTYPES)}",
        )
