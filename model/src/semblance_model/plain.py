"""What the engine's operators compute, in ONNX's own operators.

The graph of a bundle runs in the engine only. Its plain form runs in any ONNX Runtime, slowly: the
builder calibrates and checks a graph with it, and the tests compare it with the definition of BERT.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, load, numpy_helper

from semblance_model.onnx_graph import DOMAIN, GRAPH_FILE

# Gelu and its approximation by tanh are nowhere below this.
_LEAST_ACTIVATED = -0.171

# For each kind of values: the byte that means zero, and the least scale of a token.
_RANGES = {"centered": (128, 1e-12), "activated": (16, -_LEAST_ACTIVATED / 16)}

_LARGEST_BYTE = 255


def open_plain(folder: Path) -> onnxruntime.InferenceSession:
    """A session of the plain form of the graph in `folder`."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder)
    )
    model = plain(load(folder / GRAPH_FILE, load_external_data=False))
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def plain(model: ModelProto) -> ModelProto:
    """The model with each of the engine's operators replaced by ONNX's."""
    dims = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    tensors: list[TensorProto] = []
    nodes = _plain_nodes(model.graph.node, dims, tensors)
    used = _names(nodes)
    tensors += [tensor for tensor in model.graph.initializer if tensor.name in used]
    graph = helper.make_graph(
        nodes, model.graph.name, model.graph.input, model.graph.output, tensors
    )
    versions = {opset.domain: opset.version for opset in model.opset_import}
    versions = {"com.microsoft": 1} | {it: versions[it] for it in versions if it != DOMAIN}
    opsets = [helper.make_opsetid(*it) for it in versions.items()]
    return helper.make_model(graph, ir_version=model.ir_version, opset_imports=opsets)


def _plain_nodes(
    nodes: Iterable[NodeProto], dims: dict[str, list[int]], tensors: list[TensorProto]
) -> list[NodeProto]:
    """The nodes, and those of the graphs in them, in ONNX's operators; adds what they need."""
    found: list[NodeProto] = []
    for node in nodes:
        if node.domain == DOMAIN:
            body = _Body(node, dims)
            body.write()
            found.extend(body.nodes)
            tensors.extend(body.tensors)
            continue
        copy = NodeProto()
        copy.CopyFrom(node)
        for attribute in copy.attribute:
            if attribute.HasField("g"):
                inner = _plain_nodes(attribute.g.node, dims, tensors)
                del attribute.g.node[:]
                attribute.g.node.extend(inner)
        found.append(copy)
    return found


def _names(nodes: Iterable[NodeProto]) -> set[str]:
    names: set[str] = set()
    for node in nodes:
        names |= set(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                names |= _names(attribute.g.node)
    return names


class _Body:
    """ONNX's nodes for one node of the engine."""

    def __init__(self, node: NodeProto, dims: dict[str, list[int]]) -> None:
        self._node = node
        self._dims = dims
        self._attributes: dict[str, Any] = {
            it.name: helper.get_attribute_value(it) for it in node.attribute
        }
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def write(self) -> None:
        """Writes the nodes; the last gives the output."""
        operator, inputs = self._node.op_type, list(self._node.input)
        if operator == "Attention":
            self._attention(*inputs)
        else:
            is_byte = operator.startswith("Byte")
            operands = 6 if is_byte else 3
            product = (self._byte_product if is_byte else self._product)(*inputs[:operands])
            if operator.endswith("AddNorm"):
                self._add_norm(product, *inputs[operands:])
            else:
                self._activated(product)
        self.nodes[-1].output[0] = self._node.output[0]

    def _product(self, x: str, panels: str, bias: str) -> str:
        """Panels `[features / 32, inputs, 32]`."""
        _, inputs, _ = self._dims[panels]
        weight = self._add("Transpose", [panels], perm=[1, 0, 2])
        weight = self._add("Reshape", [weight, self._constant([inputs, -1])])
        product = self._add("MatMul", [x, weight])
        return self._add("Add", [self._sliced(product, self._dims[bias][0]), bias])

    def _byte_product(self, x: str, *operands: str) -> str:
        """Panels `[features / 16, inputs / 4, 16, 4]`; the sums are for the kernels only."""
        panels, scales, _sums, bias, factors = operands
        (features,), (inputs,) = self._dims[bias], self._dims[factors]
        zero, least_scale = _RANGES[self._attributes["values"].decode()]
        even = self._add("Mul", [x, factors])
        sizes = self._add("Abs", [even]) if zero == 128 else even
        # The largest of each row; ReduceMax takes its axis in different ways in different opsets.
        largest, _ = self._add_both("TopK", [sizes, self._constant([1])])
        step = self._constant(np.float32(1 / (_LARGEST_BYTE - zero)))
        row_scales = self._add("Mul", [largest, step])
        row_scales = self._add("Max", [row_scales, self._constant(np.float32(least_scale))])
        scaled = self._add("Div", [even, row_scales])
        values = self._add(
            "QuantizeLinear",
            [scaled, self._constant(np.float32(1)), self._constant(np.uint8(zero))],
        )
        values = self._add("Cast", [values], to=TensorProto.DOUBLE)
        values = self._add("Sub", [values, self._constant(np.float64(zero))])
        weight = self._add("Cast", [panels], to=TensorProto.DOUBLE)
        weight = self._add("Transpose", [weight], perm=[1, 3, 0, 2])
        padded_inputs = self._dims[panels][1] * 4
        weight = self._add("Reshape", [weight, self._constant([padded_inputs, -1])])
        zeros, ends = self._constant([0, 0]), self._constant([inputs, features])
        weight = self._add("Slice", [weight, zeros, ends])
        product = self._add("MatMul", [values, weight])
        product = self._add("Cast", [product], to=TensorProto.FLOAT)
        product = self._add("Mul", [product, scales])
        product = self._add("Mul", [product, row_scales])
        return self._add("Add", [product, bias])

    def _activated(self, product: str) -> str:
        activation = self._attributes["activation"].decode()
        if activation in ("gelu", "gelu_tanh"):
            operator = {"gelu": "Gelu", "gelu_tanh": "FastGelu"}[activation]
            return self._add(operator, [product], domain="com.microsoft")
        return self._add({"identity": "Identity", "relu": "Relu"}[activation], [product])

    def _add_norm(self, product: str, residual: str, scale: str, shift: str) -> str:
        rows = self._add("Add", [product, residual])
        epsilon = self._attributes["epsilon"]
        return self._add("LayerNormalization", [rows, scale, shift], axis=-1, epsilon=epsilon)

    def _attention(self, projected: str, offsets: str, bias: str | None = None) -> str:
        """Scores of tokens of different texts are masked. `bias` is `[heads, distances]`."""
        heads = self._attributes["heads"]
        leading = self._add("Shape", [projected], start=0, end=-1)
        projected = self._add("Flatten", [projected], axis=-1)
        text = self._text_of_each_token(projected, offsets)
        columns, rows = (self._add("Unsqueeze", [text, self._constant([axis])]) for axis in (0, 1))
        same = self._add("Equal", [rows, columns])
        parts = self._add("Reshape", [projected, self._constant([0, 3, heads, -1])])
        parts = self._add("Transpose", [parts], perm=[1, 2, 0, 3])
        query, key, value = (
            self._add("Gather", [parts, self._constant(part)]) for part in range(3)
        )
        size = self._add("Cast", [self._length(query, 2)], to=TensorProto.FLOAT)
        query = self._add("Div", [query, self._add("Sqrt", [size])])
        key = self._add("Transpose", [key], perm=[0, 2, 1])
        scores = self._add("MatMul", [query, key])
        if bias is not None:
            scores = self._add("Add", [scores, self._biases(projected, bias)])
        masked = self._constant(np.float32(np.finfo(np.float32).min))
        scores = self._add("Where", [same, scores, masked])
        scores = self._add("Softmax", [scores], axis=-1)
        context = self._add("MatMul", [scores, value])
        context = self._add("Transpose", [context], perm=[1, 0, 2])
        shape = self._add("Concat", [leading, self._constant([-1])], axis=0)
        return self._add("Reshape", [context, shape])

    def _biases(self, projected: str, bias: str) -> str:
        """`[heads, tokens, tokens]`; what is given for tokens of different texts has no meaning."""
        places = self._range(projected)
        keys, queries = (
            self._add("Unsqueeze", [places, self._constant([axis])]) for axis in (0, 1)
        )
        columns = self._add("Sub", [keys, queries])
        positions = self._dims[bias][1] // 2 + 1
        columns = self._add("Add", [columns, self._constant(positions - 1)])
        least, most = self._constant(0), self._constant(2 * positions - 2)
        columns = self._add("Max", [columns, least])
        columns = self._add("Min", [columns, most])
        return self._add("Gather", [bias, columns], axis=1)

    def _range(self, projected: str) -> str:
        """`[tokens]`: 0, 1, 2 and so on."""
        none = self._constant([0])
        tokens = self._add("Squeeze", [self._length(projected, 0), none])
        return self._add("Range", [self._constant(0), tokens, self._constant(1)])

    def _text_of_each_token(self, projected: str, offsets: str) -> str:
        """`[tokens]`: how many texts start at or before a token."""
        tokens = self._add("Unsqueeze", [self._range(projected), self._constant([1])])
        starts = self._add("Cast", [offsets], to=TensorProto.INT64)
        begun = self._add("GreaterOrEqual", [tokens, starts])
        begun = self._add("Cast", [begun], to=TensorProto.INT64)
        return self._add("ReduceSum", [begun, self._constant([1])], keepdims=0)

    def _length(self, tensor: str, axis: int) -> str:
        return self._add("Shape", [tensor], start=axis, end=axis + 1)

    def _sliced(self, rows: str, features: int) -> str:
        bounds = [self._constant(it) for it in ([0], [features], [-1])]
        return self._add("Slice", [rows, *bounds])

    def _constant(self, values: Sequence[int] | int | np.generic) -> str:
        array = np.asarray(values)
        name = f"{self._node.name}.plain.constant.{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def _add_both(self, operator: str, inputs: Sequence[str]) -> tuple[str, str]:
        """A node with two outputs."""
        first = self._add(operator, inputs)
        second = f"{first}.second"
        self.nodes[-1].output.append(second)
        return first, second

    def _add(
        self,
        operator: str,
        inputs: Sequence[str],
        domain: str = "",
        **attributes: Any,
    ) -> str:
        output = f"{self._node.name}.plain.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output
