"""The tensors of an encoder: BERT's names, shapes, and values as fp32."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from semblance_model.refusal import Refusal
from semblance_model.shape import Encoder
from semblance_model.tensors import Tensors, open_tensors

Array = NDArray[np.float32]

# Widening these to fp32 is lossless.
_DTYPES = ("F32", "F16", "BF16")

# Names of the two tensors of a LayerNorm in checkpoints converted from the first release.
_OLD_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

# Every family has this name, and no other part of a model does.
_ANCHOR = "embeddings.word_embeddings.weight"

RELATIVE_BIAS = "encoder.relative_attention_bias.weight"
PROJECTION = "embeddings_project"


def expected_tensors(encoder: Encoder) -> dict[str, tuple[int, ...]]:
    """BERT's name, without the name of the encoder, and shape of every tensor of the graph."""
    shape = encoder.shape
    hidden, wide, narrow = shape.hidden_size, shape.intermediate_size, shape.embedding_size
    tensors: dict[str, tuple[int, ...]] = {
        _ANCHOR: (shape.vocabulary_size, narrow),
        "embeddings.position_embeddings.weight": (shape.position_rows, narrow),
        "embeddings.LayerNorm.weight": (narrow,),
        "embeddings.LayerNorm.bias": (narrow,),
    }

    def dense(name: str, rows: int, columns: int) -> None:
        tensors[f"{name}.weight"] = (rows, columns)
        tensors[f"{name}.bias"] = (rows,)

    if shape.token_types:
        tensors["embeddings.token_type_embeddings.weight"] = (shape.token_types, narrow)
    if narrow != hidden:
        dense(PROJECTION, hidden, narrow)
    if shape.relative_buckets:
        tensors[RELATIVE_BIAS] = (shape.relative_buckets, shape.heads)
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
            dense(f"{layer}.{name}", rows, columns)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"{layer}.{name}.weight"] = (hidden,)
            tensors[f"{layer}.{name}.bias"] = (hidden,)
    if encoder.labels is not None:
        head = shape.family.head
        dense(head.dense, hidden, hidden)
        dense(head.output, encoder.labels, hidden)
    return tensors


class Weights:
    """A checkpoint with every expected tensor, in the right shape and finite."""

    def __init__(self, tensors: Tensors, stored_names: dict[str, str]) -> None:
        self._tensors = tensors
        self._stored_names = stored_names

    def tensor(self, name: str) -> Array:
        """The tensor `name` of `expected_tensors`, widened to fp32."""
        values = self._tensors.values(self._stored_names[name])
        return np.ascontiguousarray(values, dtype=np.float32)


@contextmanager
def open_weights(encoder: Encoder) -> Iterator[Weights]:
    """Opens the checkpoint of an encoder; raises `Refusal` if a tensor is missing or invalid."""
    file = encoder.checkpoint.name
    with open_tensors(encoder.checkpoint) as tensors:
        names = _Names(file, encoder, set(tensors.names()))
        expected = expected_tensors(encoder)
        stored_names = {name: names.stored(name) for name in expected}
        weights = Weights(tensors, stored_names)
        for name, shape in expected.items():
            checked_tensor(file, tensors, stored_names[name], shape)
        yield weights


class _Names:
    """Finds the names in a checkpoint: the family's, behind a prefix that differs by its writer.

    Transformers puts the encoder of a model with a head behind the family's name (`bert.`), other
    programs put `module.`, `model.` or `0.auto_model.` before that.
    """

    def __init__(self, file: str, encoder: Encoder, present: set[str]) -> None:
        self._file = file
        self._family = encoder.shape.family
        self._present = present
        found = sorted(name for name in present if f".{name}".endswith(f".{_ANCHOR}"))
        if not found:
            raise self._missing(_ANCHOR)
        if len(found) > 1:
            raise Refusal(
                "model.weights_format",
                f"{file}: the checkpoint has several encoders: {', '.join(found)}; save the one "
                "that is wanted alone",
            )
        self._encoder = found[0].removesuffix(_ANCHOR)
        # A head is next to the encoder, or in the same place where the encoder has no name.
        self._outer = self._encoder.removesuffix(f"{self._family.base}.")

    def stored(self, name: str) -> str:
        """The name in the checkpoint of a tensor that BERT calls `name`."""
        own = self._family.stored(name)
        names = [own]
        for new, old in _OLD_NAMES.items():
            if own.endswith(new):
                names.append(own.removesuffix(new) + old)
        for prefix in (self._encoder, self._outer):
            for candidate in names:
                if prefix + candidate in self._present:
                    return prefix + candidate
        raise self._missing(own)

    def _missing(self, name: str) -> Refusal:
        return Refusal("model.tensor_missing", f"{self._file}: tensor {name} is missing")


def checked_tensor(file: str, tensors: Tensors, name: str, shape: tuple[int, ...]) -> Array:
    """A tensor as fp32; raises `Refusal` for another shape or type and values not finite."""
    found = tensors.shape(name)
    if found != shape:
        raise Refusal(
            "model.tensor_shape",
            f"{file}: tensor {name} has shape {list(found)}, expected {list(shape)} of config.json",
        )
    dtype = tensors.dtype(name)
    if dtype not in _DTYPES:
        raise Refusal(
            "model.tensor_type",
            f"{file}: tensor {name} has type {dtype}, expected one of {', '.join(_DTYPES)}",
        )
    values = np.ascontiguousarray(tensors.values(name), dtype=np.float32)
    if not np.isfinite(values).all():
        raise Refusal(
            "model.tensor_values", f"{file}: tensor {name} contains values that are not finite"
        )
    return values
