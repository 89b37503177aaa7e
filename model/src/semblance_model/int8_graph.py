"""The graph of a BERT model whose dense layers multiply int8 weights with uint8 activations.

Each token has its own scale, so the vector of a text does not depend on the other texts in its
batch. Everything except the products of the dense layers is fp32, including the classifier of a
cross-encoder. The caller looks up the word embeddings, which are the first input.

Axes: `batch` texts, `tokens` positions (padded on the right), `hidden` features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from semblance_model.description import Description, Shape
from semblance_model.graph import MASKED, classifier
from semblance_model.onnx_graph import GRAPH_FILE, WEIGHTS_FILE, OnnxGraph
from semblance_model.quantize import Bytes, channel_factors, quantize_dense
from semblance_model.weights import Array, Weights

# Gelu and its tanh approximation are never below this value and have no maximum: 16 steps are for
# negative values, 239 for the others.
_LEAST_ACTIVATED = -0.171
_ZERO_ACTIVATED = 16
_ZERO_CENTRED = 128
_LARGEST_BYTE = 255

# The smallest scale of a token. It is a divisor, and a token may be all zeros.
_LEAST_SCALE = 1e-12


def write_int8_graph(
    description: Description,
    weights: Weights,
    largest_activations: Mapping[str, Array],
    folder: Path,
) -> None:
    """Writes the graph and its weights into `folder`.

    `largest_activations` has the largest absolute value by feature for each output of
    `write_normalized_graph`.
    """
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        hidden = _Encoder(graph, description.shape, weights, largest_activations).write()
        if description.task == "embedding":
            output = graph.name_output(hidden, "token_embeddings")
            axes: tuple[int | str, ...] = ("batch", "tokens", description.shape.hidden_size)
        else:
            output = graph.name_output(classifier(graph, hidden, weights), "logits")
            axes = ("batch", description.labels or 0)
    _save(graph, description.shape, [_float(output, axes)], folder)


def write_normalized_graph(description: Description, weights: Weights, folder: Path) -> None:
    """Writes the same graph in fp32; its outputs are the inputs of the dense layers."""
    shape = description.shape
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        encoder = _Encoder(graph, shape, weights, None)
        encoder.write()
    axes = ("batch", "tokens", shape.hidden_size)
    _save(graph, shape, [_float(name, axes) for name in encoder.normalized], folder)


def _float(name: str, axes: Sequence[int | str]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)


def _save(graph: OnnxGraph, shape: Shape, outputs: Sequence[ValueInfoProto], folder: Path) -> None:
    texts = ("batch", "tokens")
    inputs = [
        _float("word_embeddings", (*texts, shape.hidden_size)),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT32, texts),
        helper.make_tensor_value_info("token_type_ids", TensorProto.INT32, texts),
    ]
    model = graph.model(inputs, *outputs)
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))


class _Activations(NamedTuple):
    """Names of tensors: `(values - zero) * scales`, with one scale per token; `unit` is 1."""

    values: str
    scales: str
    zero: str
    unit: str


class _Encoder:
    """The transformer, written layer by layer; without `largest_activations` it is fp32."""

    def __init__(
        self,
        graph: OnnxGraph,
        shape: Shape,
        weights: Weights,
        largest_activations: Mapping[str, Array] | None,
    ) -> None:
        self._graph = graph
        self._shape = shape
        self._weights = weights
        self._largest_activations = largest_activations
        self.normalized: list[str] = []

    def write(self) -> str:
        """Writes the transformer and returns the token embeddings, `[batch, tokens, hidden]`."""
        hidden = self._embeddings()
        for index in range(self._shape.layers):
            self.normalized.append(hidden)
            hidden = self._layer(index, hidden)
        return hidden

    def _embeddings(self) -> str:
        graph = self._graph
        types = self._weight("token_types", self._stored("embeddings.token_type_embeddings.weight"))
        types = graph.node("Gather", [types, "token_type_ids"], "embeddings.token_types")
        zero = graph.constant("positions.first", [0])
        tokens = graph.node("Shape", ["attention_mask"], "tokens", start=1, end=2)
        positions = self._weight("positions", self._stored("embeddings.position_embeddings.weight"))
        positions = graph.node("Slice", [positions, zero, tokens], "embeddings.positions")
        rows = graph.node("Add", ["word_embeddings", types], "embeddings.with_types")
        rows = graph.node("Add", [rows, positions], "embeddings.sum")
        return self._normalize("embeddings.norm", rows, "embeddings.LayerNorm")

    def _layer(self, index: int, hidden: str) -> str:
        graph = self._graph
        stored, name = f"encoder.layer.{index}", f"layer.{index}"
        attended = self._attention(f"{name}.attention", hidden, f"{stored}.attention")
        attended = self._normalize(
            f"{name}.attention.norm",
            graph.node("Add", [attended, hidden], f"{name}.attention.sum"),
            f"{stored}.attention.output.LayerNorm",
        )
        self.normalized.append(attended)
        (wide,) = self._products_of_normalized(attended, [f"{stored}.intermediate.dense"])
        wide = self._biased(wide, f"{stored}.intermediate.dense")
        operator = {"gelu": "Gelu", "gelu_tanh": "FastGelu", "relu": "Relu"}
        wide = graph.node(
            operator[self._shape.hidden_activation], [wide], f"{name}.intermediate.activation"
        )
        output = self._product_of_activated(wide, f"{stored}.output.dense")
        return self._normalize(
            f"{name}.norm",
            graph.node(
                "Add", [self._biased(output, f"{stored}.output.dense"), attended], f"{name}.sum"
            ),
            f"{stored}.output.LayerNorm",
        )

    def _attention(self, name: str, hidden: str, stored: str) -> str:
        projections = [f"{stored}.self.{it}" for it in ("query", "key", "value")]
        biases = np.concatenate([self._stored(f"{it}.bias") for it in projections])
        attended = self._graph.node(
            "MultiHeadAttention",
            [
                *self._products_of_normalized(hidden, projections),
                self._weight(f"{name}.bias", biases),
                "attention_mask",
            ],
            name,
            num_heads=self._shape.heads,
            mask_filter_value=MASKED,
        )
        output = f"{stored}.output.dense"
        return self._biased(self._product_of_attended(attended, output), output)

    def _products_of_normalized(self, hidden: str, layers: Sequence[str]) -> list[str]:
        """The products of `hidden`, the output of a LayerNorm, with the weights of dense layers."""
        if self._largest_activations is None:
            return [self._product_in_fp32(hidden, layer) for layer in layers]
        factors = channel_factors(
            self._largest_activations[hidden], *(self._stored(f"{it}.weight") for it in layers)
        )
        even = self._graph.node(
            "Mul",
            [hidden, self._weight(f"{hidden}.factors", np.reciprocal(factors))],
            f"{hidden}.even",
        )
        activations = self._bytes_of_centred(even)
        return [self._product(activations, layer, factors) for layer in layers]

    def _product_of_attended(self, rows: str, layer: str) -> str:
        if self._largest_activations is None:
            return self._product_in_fp32(rows, layer)
        return self._product(self._bytes_of_centred(rows), layer, None)

    def _product_of_activated(self, rows: str, layer: str) -> str:
        if self._largest_activations is None:
            return self._product_in_fp32(rows, layer)
        activations = self._bytes(
            rows, rows, zero=_ZERO_ACTIVATED, least_scale=-_LEAST_ACTIVATED / _ZERO_ACTIVATED
        )
        return self._product(activations, layer, None)

    def _bytes_of_centred(self, rows: str) -> _Activations:
        sizes = self._graph.node("Abs", [rows], f"{rows}.sizes")
        return self._bytes(rows, sizes, zero=_ZERO_CENTRED, least_scale=_LEAST_SCALE)

    def _bytes(self, rows: str, sizes: str, *, zero: int, least_scale: float) -> _Activations:
        """Rows as uint8; the largest value in a token's `sizes` maps to the largest byte."""
        graph = self._graph
        unit = self._constant(f"{rows}.unit", np.float32(1))
        zero_byte = self._constant(f"{rows}.zero", np.uint8(zero))
        step = self._constant(f"{rows}.step", np.float32(1 / (_LARGEST_BYTE - zero)))
        least = self._constant(f"{rows}.least_scale", np.float32(least_scale))
        largest = graph.node("ReduceMax", [sizes], f"{rows}.largest", axes=[-1])
        scales = graph.node("Mul", [largest, step], f"{rows}.fitting")
        scales = graph.node("Max", [scales, least], f"{rows}.scales")
        scaled = graph.node("Div", [rows, scales], f"{rows}.scaled")
        values = graph.node("QuantizeLinear", [scaled, unit, zero_byte], f"{rows}.bytes")
        return _Activations(values, scales, zero_byte, unit)

    def _product(self, activations: _Activations, layer: str, factors: Array | None) -> str:
        """Activations times a weight, `[batch, tokens, outputs]` in fp32."""
        weight = self._stored(f"{layer}.weight")
        dense = quantize_dense(weight if factors is None else weight * factors)
        product = self._graph.node(
            "MatMulIntegerToFloat",
            [
                activations.values,
                self._weight(f"{layer}.weight", dense.values),
                activations.unit,
                self._weight(f"{layer}.scales", dense.scales),
                activations.zero,
            ],
            f"{layer}.unscaled",
        )
        return self._graph.node("Mul", [product, activations.scales], f"{layer}.product")

    def _product_in_fp32(self, rows: str, layer: str) -> str:
        weight = self._weight(f"{layer}.weight", self._stored(f"{layer}.weight").T)
        return self._graph.node("MatMul", [rows, weight], f"{layer}.product")

    def _biased(self, product: str, layer: str) -> str:
        bias = self._weight(f"{layer}.bias", self._stored(f"{layer}.bias"))
        return self._graph.node("Add", [product, bias], f"{layer}.biased")

    def _normalize(self, name: str, rows: str, stored: str) -> str:
        return self._graph.node(
            "LayerNormalization",
            [
                rows,
                self._weight(f"{name}.scale", self._stored(f"{stored}.weight")),
                self._weight(f"{name}.shift", self._stored(f"{stored}.bias")),
            ],
            name,
            axis=-1,
            epsilon=self._shape.layer_norm_epsilon,
        )

    def _stored(self, name: str) -> Array:
        return self._weights.tensor(name)

    def _weight(self, name: str, values: Array | Bytes) -> str:
        return self._graph.weight(name, values)

    def _constant(self, name: str, value: np.generic) -> str:
        return self._graph.constant(name, value)
