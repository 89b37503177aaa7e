"""The ONNX graph of a BERT model, written with the fused operators of ONNX Runtime.

The graph is what ONNX Runtime's own optimiser would make of an exported model, so it is loaded
with graph optimisation off. Nothing in it depends on the processor. Weights go to a second file:
ONNX Runtime maps that file instead of reading it.

Axes: `batch` texts, `tokens` positions (padded on the right), `hidden` features.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from onnx import (
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    StringStringEntryProto,
    TensorProto,
    ValueInfoProto,
    helper,
)

from semblance_model.description import Description, Shape
from semblance_model.quantise import Bytes
from semblance_model.weights import Array, Weights

GRAPH_FILE = "model.onnx"
WEIGHTS_FILE = "model.weights"

# A cache line, and the widest vector register. ONNX Runtime maps a tensor at any offset, so no page
# is left half empty for it.
ALIGNMENT_BYTES = 64

# The table of words is half of a small model, and an event reads a few rows of it. It comes last in
# the file, so that whoever reads ahead stops before it.
_WORDS = "embeddings.word"

_IR_VERSION = 10
_ONNX_OPSET = 17
_FUSED = "com.microsoft"

# What the reference adds to the score of a masked position.
MASKED = float(np.finfo(np.float32).min)


def write_graph(description: Description, weights: Weights, folder: Path) -> None:
    """Writes the graph and its weights into `folder`."""
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        hidden = _encoder(graph, description.shape, weights)
        if description.task == "embedding":
            output = graph.name_output(hidden, "token_embeddings")
            axes: tuple[int | str, ...] = ("batch", "tokens", description.shape.hidden_size)
        else:
            output = graph.name_output(classifier(graph, hidden, weights), "logits")
            axes = ("batch", description.labels or 0)
        graph.weight(_WORDS, weights.tensor("embeddings.word_embeddings.weight"))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    model = graph.model(inputs, helper.make_tensor_value_info(output, TensorProto.FLOAT, axes))
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))


def _encoder(graph: "OnnxGraph", shape: Shape, weights: Weights) -> str:
    hidden = graph.node(
        "EmbedLayerNormalization",
        [
            "input_ids",
            "token_type_ids",
            f"{_WORDS}.values",
            graph.weight(
                "embeddings.position", weights.tensor("embeddings.position_embeddings.weight")
            ),
            graph.weight(
                "embeddings.token_type", weights.tensor("embeddings.token_type_embeddings.weight")
            ),
            *_layer_norm(graph, "embeddings.norm", "embeddings.LayerNorm", weights),
        ],
        "embeddings",
        # The second output, a mask index, is not optional.
        more_outputs=["embeddings.mask_index"],
        epsilon=shape.layer_norm_epsilon,
    )
    for index in range(shape.layers):
        hidden = _layer(graph, index, hidden, shape, weights)
    return hidden


def _layer(graph: "OnnxGraph", index: int, hidden: str, shape: Shape, weights: Weights) -> str:
    stored, name = f"encoder.layer.{index}", f"layer.{index}"
    projections = ("query", "key", "value")
    attended = graph.node(
        "Attention",
        [
            hidden,
            graph.weight(
                f"{name}.attention.projections",
                np.concatenate(
                    [
                        weights.tensor(f"{stored}.attention.self.{projection}.weight").T
                        for projection in projections
                    ],
                    axis=1,
                ),
            ),
            graph.weight(
                f"{name}.attention.projections.bias",
                np.concatenate(
                    [
                        weights.tensor(f"{stored}.attention.self.{projection}.bias")
                        for projection in projections
                    ]
                ),
            ),
            "attention_mask",
        ],
        f"{name}.attention",
        num_heads=shape.heads,
        mask_filter_value=MASKED,
    )
    attended = graph.node(
        "SkipLayerNormalization",
        [
            _product(graph, f"{name}.attention.output", attended, stored, weights),
            hidden,
            *_layer_norm(
                graph, f"{name}.attention.norm", f"{stored}.attention.output.LayerNorm", weights
            ),
            graph.weight(
                f"{name}.attention.output.bias",
                weights.tensor(f"{stored}.attention.output.dense.bias"),
            ),
        ],
        f"{name}.attention.norm",
        epsilon=shape.layer_norm_epsilon,
    )
    wide = graph.node(
        "MatMul",
        [
            attended,
            graph.weight(
                f"{name}.intermediate", weights.tensor(f"{stored}.intermediate.dense.weight").T
            ),
        ],
        f"{name}.intermediate",
    )
    wide = _activated(
        graph,
        f"{name}.intermediate.activation",
        wide,
        graph.weight(
            f"{name}.intermediate.bias", weights.tensor(f"{stored}.intermediate.dense.bias")
        ),
        shape.hidden_activation,
    )
    return graph.node(
        "SkipLayerNormalization",
        [
            graph.node(
                "MatMul",
                [
                    wide,
                    graph.weight(
                        f"{name}.output", weights.tensor(f"{stored}.output.dense.weight").T
                    ),
                ],
                f"{name}.output",
            ),
            attended,
            *_layer_norm(graph, f"{name}.norm", f"{stored}.output.LayerNorm", weights),
            graph.weight(f"{name}.output.bias", weights.tensor(f"{stored}.output.dense.bias")),
        ],
        f"{name}.norm",
        epsilon=shape.layer_norm_epsilon,
    )


def _product(graph: "OnnxGraph", name: str, attended: str, stored: str, weights: Weights) -> str:
    weight = weights.tensor(f"{stored}.attention.output.dense.weight").T
    return graph.node("MatMul", [attended, graph.weight(name, weight)], name)


def _activated(graph: "OnnxGraph", name: str, wide: str, bias: str, activation: str) -> str:
    if activation == "gelu":
        return graph.node("BiasGelu", [wide, bias], name)
    if activation == "gelu_tanh":
        return graph.node("FastGelu", [wide, bias], name)
    return graph.node("Relu", [graph.node("Add", [wide, bias], f"{name}.sum")], name)


def _layer_norm(graph: "OnnxGraph", name: str, stored: str, weights: Weights) -> tuple[str, str]:
    return (
        graph.weight(f"{name}.scale", weights.tensor(f"{stored}.weight")),
        graph.weight(f"{name}.shift", weights.tensor(f"{stored}.bias")),
    )


def classifier(graph: "OnnxGraph", hidden: str, weights: Weights) -> str:
    """Logits `[batch, labels]` of the first position."""
    first = graph.constant("classifier.position", np.array(0, dtype=np.int64))
    pooled = graph.node("Gather", [hidden, first], "pooler.position", axis=1)
    pooled = graph.node(
        "FusedGemm",
        [pooled, *_dense(graph, "pooler.dense", weights)],
        "pooler",
        transB=1,
        activation="Tanh",
    )
    return graph.node(
        "Gemm", [pooled, *_dense(graph, "classifier", weights)], "classifier", transB=1
    )


def _dense(graph: "OnnxGraph", name: str, weights: Weights) -> tuple[str, str]:
    return (
        graph.weight(f"{name}.weight", weights.tensor(f"{name}.weight")),
        graph.weight(f"{name}.bias", weights.tensor(f"{name}.bias")),
    )


class OnnxGraph:
    """Nodes in the order in which they run; weights are written to the file as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._nodes: list[NodeProto] = []
        self._tensors: list[TensorProto] = []

    def weight(self, name: str, values: Array | Bytes) -> str:
        """Appends a tensor to the weights file and returns its name."""
        self._file.write(bytes(-self._file.tell() % ALIGNMENT_BYTES))
        data = values.astype(values.dtype.newbyteorder("<")).tobytes()
        tensor = TensorProto(
            name=f"{name}.values",
            data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
            dims=values.shape,
            data_location=TensorProto.EXTERNAL,
        )
        location = {
            "location": WEIGHTS_FILE,
            "offset": str(self._file.tell()),
            "length": str(len(data)),
        }
        tensor.external_data.extend(
            StringStringEntryProto(key=key, value=value) for key, value in location.items()
        )
        self._file.write(data)
        self._tensors.append(tensor)
        return tensor.name

    def constant(self, name: str, values: np.ndarray) -> str:
        """A tensor of a few bytes that stays in the graph; returns its name."""
        self._tensors.append(
            helper.make_tensor(
                f"{name}.values",
                helper.np_dtype_to_tensor_dtype(values.dtype),
                values.shape,
                values.flatten().tolist(),
            )
        )
        return f"{name}.values"

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str,
        more_outputs: Iterable[str] = (),
        **attributes: float | int | str | Sequence[int],
    ) -> str:
        """Appends a node named after its first output and returns that output."""
        node = helper.make_node(
            operator,
            inputs,
            [output, *more_outputs],
            name=output,
            domain=_FUSED if operator in _FUSED_OPERATORS else "",
        )
        node.attribute.extend(
            helper.make_attribute(name, value) for name, value in sorted(attributes.items())
        )
        self._nodes.append(node)
        return output

    def name_output(self, output: str, name: str) -> str:
        """Renames the last node's output to `name`, which the graph then returns."""
        last = self._nodes[-1]
        assert last.output[0] == output
        last.output[0] = name
        return name

    def model(self, inputs: Sequence[ValueInfoProto], *outputs: ValueInfoProto) -> ModelProto:
        """The finished model, without names, dates or versions that differ between builds."""
        return helper.make_model(
            helper.make_graph(self._nodes, "bert", inputs, outputs, self._tensors),
            ir_version=_IR_VERSION,
            producer_name="semblance",
            opset_imports=[
                OperatorSetIdProto(domain="", version=_ONNX_OPSET),
                OperatorSetIdProto(domain=_FUSED, version=1),
            ],
        )


_FUSED_OPERATORS = frozenset(
    {
        "Attention",
        "BiasGelu",
        "EmbedLayerNormalization",
        "FastGelu",
        "FusedGemm",
        "Gelu",
        "MatMulIntegerToFloat",
        "MultiHeadAttention",
        "SkipLayerNormalization",
    }
)
