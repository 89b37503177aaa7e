"""The ONNX graph of an encoder, from word embeddings to token embeddings or logits.

The caller looks up the rows of the embedding table (`words.py`) and passes them to the graph.
Products and attention are operators of the engine, which reads the weights in place; `plain.py`
defines them. Load the graph with graph optimization and prepacking off. The graph does not depend
on the processor.

Axes: `tokens` are the tokens of all texts, one text after the other, without padding. `offsets` has
one entry more than there are texts: where each text starts, and the number of tokens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from semblance_model.families import Head
from semblance_model.onnx_graph import GRAPH_FILE, WEIGHTS_FILE, OnnxGraph
from semblance_model.panels import byte_panels_of, panels_of
from semblance_model.quantize import channel_factors, quantize_dense
from semblance_model.relative import bias_by_distance
from semblance_model.shape import Encoder, Shape
from semblance_model.weights import PROJECTION, RELATIVE_BIAS, Array, Weights

# Which values the input of a layer has, for int8: see `plain.py`.
CENTERED, ACTIVATED = "centered", "activated"


def write_graph(
    encoder: Encoder,
    weights: Weights,
    folder: Path,
    largest_activations: Mapping[str, Array] | None = None,
) -> None:
    """Writes the graph and its weights into `folder`: in int8 if `largest_activations` are given.

    They are, for each output of `write_normalized_graph`, the largest absolute values by feature.
    """
    shape = encoder.shape
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        layers = _Layers(graph)
        dense = layers if largest_activations is None else _ByteLayers(graph, largest_activations)
        hidden = _Encoder(graph, shape, weights, dense).write()
        if encoder.labels is None:
            output = graph.name_output(hidden, "token_embeddings")
            axes: tuple[int | str, ...] = ("tokens", shape.hidden_size)
        else:
            logits = _classifier(graph, layers, hidden, weights, shape.family.head)
            output = graph.name_output(logits, "logits")
            axes = ("texts", encoder.labels)
    _save(graph, shape, [_float(output, axes)], folder)


def write_normalized_graph(encoder: Encoder, weights: Weights, folder: Path) -> None:
    """Writes the fp32 graph with other outputs: what LayerNorms pass to dense layers."""
    shape = encoder.shape
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        writer = _Encoder(graph, shape, weights, _Layers(graph))
        writer.write()
    axes = ("tokens", shape.hidden_size)
    _save(graph, shape, [_float(name, axes) for name in writer.normalized], folder)


def _float(name: str, axes: Sequence[int | str]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)


def _save(graph: OnnxGraph, shape: Shape, outputs: Sequence[ValueInfoProto], folder: Path) -> None:
    def integers(name: str, axis: str) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.INT32, (axis,))

    inputs = [
        _float("word_embeddings", ("tokens", shape.embedding_size)),
        integers("positions", "tokens"),
        integers("token_type_ids", "tokens"),
        integers("offsets", "offsets"),
    ]
    model = graph.model(inputs, *outputs)
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))


class _Layer(NamedTuple):
    """A dense layer: `weight` `[features, inputs]`, `bias` `[features]`."""

    weight: Array
    bias: Array


class _AddNorm(NamedTuple):
    """A residual and the LayerNorm of its sum with a product: names of tensors, and epsilon."""

    residual: str
    scale: str
    shift: str
    epsilon: float


class _Dense(Protocol):
    """Writes dense layers in one number format."""

    def activate(self, name: str, rows: str, layer: _Layer, activation: str) -> str:
        """`activation(layer(rows))`, `[tokens, features]`."""

    def add_norm(self, name: str, rows: str, layer: _Layer, after: _AddNorm, values: str) -> str:
        """`LayerNorm(residual + layer(rows))`, `[tokens, features]`; `values` describes `rows`."""


class _Layers:
    """Dense layers in fp32."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph

    def activate(self, name: str, rows: str, layer: _Layer, activation: str) -> str:
        inputs = [rows, *self._operands(name, layer)]
        return self._graph.node("Product", inputs, name, activation=activation)

    def add_norm(self, name: str, rows: str, layer: _Layer, after: _AddNorm, values: str) -> str:
        inputs = [rows, *self._operands(name, layer), after.residual, after.scale, after.shift]
        return self._graph.node("ProductAddNorm", inputs, name, epsilon=after.epsilon)

    def _operands(self, name: str, layer: _Layer) -> list[str]:
        graph = self._graph
        return [
            graph.weight(f"{name}.weight", panels_of(layer.weight)),
            graph.weight(f"{name}.bias", layer.bias),
        ]


class _ByteLayers:
    """Dense layers that multiply int8 weights with uint8 activations, a scale for each token."""

    def __init__(self, graph: OnnxGraph, largest_activations: Mapping[str, Array]) -> None:
        self._graph = graph
        self._largest_activations = largest_activations

    def activate(self, name: str, rows: str, layer: _Layer, activation: str) -> str:
        # The input is what a LayerNorm gives, whose features differ in size.
        factors = channel_factors(self._largest_activations[rows], layer.weight)
        inputs = [rows, *self._operands(name, layer, factors)]
        return self._graph.node("ByteProduct", inputs, name, activation=activation, values=CENTERED)

    def add_norm(self, name: str, rows: str, layer: _Layer, after: _AddNorm, values: str) -> str:
        factors = np.ones(layer.weight.shape[1], np.float32)
        operands = self._operands(name, layer, factors)
        inputs = [rows, *operands, after.residual, after.scale, after.shift]
        return self._graph.node(
            "ByteProductAddNorm", inputs, name, epsilon=after.epsilon, values=values
        )

    def _operands(self, name: str, layer: _Layer, factors: Array) -> list[str]:
        graph = self._graph
        dense = quantize_dense(layer.weight * factors)
        return [
            graph.weight(f"{name}.weight", byte_panels_of(dense.values)),
            graph.weight(f"{name}.scales", dense.scales),
            graph.weight(f"{name}.sums", dense.values.sum(axis=1, dtype=np.int32)),
            graph.weight(f"{name}.bias", layer.bias),
            graph.weight(f"{name}.factors", np.reciprocal(factors)),
        ]


class _Encoder:
    """The transformer: embeddings and layers, written one after the other."""

    def __init__(self, graph: OnnxGraph, shape: Shape, weights: Weights, dense: _Dense) -> None:
        self._graph = graph
        self._shape = shape
        self._weights = weights
        self._dense = dense
        self.normalized: list[str] = []

    def write(self) -> str:
        """Writes all of it and returns the token embeddings, `[tokens, hidden]`."""
        shape = self._shape
        hidden = self._embeddings()
        if shape.embedding_size != shape.hidden_size:
            layer = self._stored(PROJECTION)
            # It stays fp32: it is small, and what it gives is not normalized.
            layers = _Layers(self._graph)
            hidden = layers.activate("embeddings.projected", hidden, layer, "identity")
        offsets = ["offsets"]
        if shape.relative_buckets:
            bias = bias_by_distance(self._weights.tensor(RELATIVE_BIAS), shape.positions)
            offsets.append(self._graph.weight("attention.bias", bias))
        for index in range(shape.layers):
            hidden = self._layer(index, hidden, offsets)
        return hidden

    def _embeddings(self) -> str:
        """`[tokens, width of the table]`: words, positions and types, summed and normalized."""
        graph = self._graph
        positions = self._weights.tensor("embeddings.position_embeddings.weight")
        first = self._shape.first_position
        # The last row, which has the index -1 too, is that of the padding inside a text.
        positions = np.concatenate([positions[first:], positions[max(first - 1, 0) : first]])
        types: str | None = None
        if self._shape.token_types:
            table = self._weights.tensor("embeddings.token_type_embeddings.weight")
            if self._shape.reads_token_types:
                weight = graph.weight("token_types", table)
                types = graph.node("Gather", [weight, "token_type_ids"], "embeddings.token_types")
            else:
                positions = positions + table[0]
        weight = graph.weight("positions", positions)
        found = graph.node("Gather", [weight, "positions"], "embeddings.positions")
        rows = "word_embeddings"
        if types is not None:
            rows = graph.node("Add", [rows, types], "embeddings.with_types")
        rows = graph.node("Add", [rows, found], "embeddings.sum")
        return graph.node(
            "LayerNormalization",
            [rows, *self._norm("embeddings.norm", "embeddings.LayerNorm")],
            "embeddings.norm",
            axis=-1,
            epsilon=self._shape.layer_norm_epsilon,
        )

    def _layer(self, index: int, hidden: str, offsets: Sequence[str]) -> str:
        """One layer, `[tokens, hidden]` to the same; `offsets` and what else attention needs."""
        stored, name = f"encoder.layer.{index}", f"layer.{index}"
        attention = f"{stored}.attention"
        weights, biases = zip(
            *(self._stored(f"{attention}.self.{it}") for it in ("query", "key", "value")),
            strict=True,
        )
        self.normalized.append(hidden)
        projected = self._dense.activate(
            f"{name}.attention.projected",
            hidden,
            _Layer(np.concatenate(weights), np.concatenate(biases)),
            "identity",
        )
        attended = self._graph.node(
            "Attention",
            [projected, *offsets],
            f"{name}.attention",
            heads=self._shape.heads,
        )
        attended = self._add_norm(
            f"{name}.attention.norm", attended, f"{attention}.output", hidden, CENTERED
        )
        self.normalized.append(attended)
        wide = self._dense.activate(
            f"{name}.intermediate",
            attended,
            self._stored(f"{stored}.intermediate.dense"),
            self._shape.hidden_activation,
        )
        return self._add_norm(f"{name}.norm", wide, f"{stored}.output", attended, ACTIVATED)

    def _add_norm(self, name: str, rows: str, stored: str, residual: str, values: str) -> str:
        after = _AddNorm(
            residual, *self._norm(name, f"{stored}.LayerNorm"), self._shape.layer_norm_epsilon
        )
        return self._dense.add_norm(name, rows, self._stored(f"{stored}.dense"), after, values)

    def _norm(self, name: str, stored: str) -> tuple[str, str]:
        return (
            self._weight(f"{name}.scale", f"{stored}.weight"),
            self._weight(f"{name}.shift", f"{stored}.bias"),
        )

    def _stored(self, layer: str) -> _Layer:
        return _stored(self._weights, layer)

    def _weight(self, name: str, stored: str) -> str:
        return self._graph.weight(name, self._weights.tensor(stored))


def _classifier(
    graph: OnnxGraph, layers: _Layers, hidden: str, weights: Weights, head: Head
) -> str:
    """Logits `[texts, labels]` of the first token of each text. It stays fp32."""
    zero, last = graph.constant("classifier.zero", [0]), graph.constant("classifier.last", [-1])
    starts = graph.node("Slice", ["offsets", zero, last], "classifier.starts")
    first = graph.node("Gather", [hidden, starts], "classifier.first")
    dense = _stored(weights, head.dense)
    if head.activation == "tanh":
        pooled = layers.activate("pooler", first, dense, "identity")
        pooled = graph.node("Tanh", [pooled], "pooler.activation")
    else:
        pooled = layers.activate("pooler", first, dense, head.activation)
    return layers.activate("classifier", pooled, _stored(weights, head.output), "identity")


def _stored(weights: Weights, layer: str) -> _Layer:
    return _Layer(weights.tensor(f"{layer}.weight"), weights.tensor(f"{layer}.bias"))
