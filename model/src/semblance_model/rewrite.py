"""The graph of a bundle from an ONNX export.

The export's graph computes padded batches. A bundle's graph gets the tokens of all texts one after
the other, so it runs the export's nodes for one text after the other, in a loop, each without
padding. The embedding table becomes an input, and products with a constant weight become the
engine's operators. All other nodes are kept and run in ONNX Runtime.

In int8, these products have int8 weights, except the one that gives the logits. Everything else is
computed in fp32.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from semblance_model.export import Export, attributes_of, captured
from semblance_model.export_attention import ExportAttention, replace_attention
from semblance_model.export_product import Product, product_of, vector_of
from semblance_model.graph import ACTIVATED, CENTERED
from semblance_model.onnx_graph import DOMAIN, GRAPH_FILE, WEIGHTS_FILE, OnnxGraph
from semblance_model.panels import byte_panels_of, panels_of
from semblance_model.quantize import channel_factors, quantize_dense

# Smaller constants stay in the graph.
_EXTERNAL_BYTES = 512

_GELU = {("Gelu", "com.microsoft"): "gelu", ("FastGelu", "com.microsoft"): "gelu_tanh"}


def write_export(
    export: Export,
    folder: Path,
    largest_activations: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    with_attention: bool = True,
) -> list[str]:
    """Writes the graph and its weights into `folder`; returns the names of the graph's inputs.

    In int8 if `largest_activations` are given: for each of `product_inputs`, the largest absolute
    values by feature. `with_attention` replaces attention by the engine's operator.
    """
    attentions: Mapping[str, ExportAttention] = {}
    if with_attention:
        export, attentions = replace_attention(export)
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        body = _Products(graph, export, attentions, largest_activations).written()
        loop = _Loop(graph, export, body)
        loop.write()
        _write_constants(graph, export, body)
        model = graph.model(loop.inputs(), loop.output(), opsets=export.opsets)
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))
    return [it.name for it in model.graph.input]


def _write_constants(graph: OnnxGraph, export: Export, body: Sequence[NodeProto]) -> None:
    used = {name for node in body for name in set(node.input) | captured(node)}
    for name in sorted(used & export.constants.keys()):
        values = export.constants[name]
        if values.dtype == np.float32 and values.nbytes >= _EXTERNAL_BYTES:
            graph.weight(name, values.astype(np.float32), name)
        else:
            graph.tensor(name, values)


class _Products:
    """The nodes of an export, with products as operators of the engine."""

    def __init__(
        self,
        graph: OnnxGraph,
        export: Export,
        attentions: Mapping[str, ExportAttention],
        largest_activations: Mapping[str, NDArray[np.float32]] | None,
    ) -> None:
        self._graph = graph
        self._export = export
        self._attentions = attentions
        self._largest_activations = largest_activations
        self._stored: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        activations = (*_GELU, ("BiasGelu", "com.microsoft"), ("Gelu", ""), ("Relu", ""))
        self._activated = {
            node.output[0] for node in export.nodes if (node.op_type, node.domain) in activations
        }
        self._users: dict[str, list[NodeProto]] = {}
        for node in export.nodes:
            for name in set(node.input) | captured(node):
                self._users.setdefault(name, []).append(node)

    def written(self) -> list[NodeProto]:
        """The nodes of the loop's body, in their order; weights are written to the file."""
        replaced: dict[int, NodeProto | None] = {}
        for node in self._export.nodes:
            product = product_of(self._export, node)
            if product is None:
                continue
            fused, last = self._fused(node, product)
            for it in fused:
                replaced[id(it)] = None
            replaced[id(fused[-1])] = last
        body: list[NodeProto] = []
        for node in self._export.nodes:
            if node is self._export.lookup:
                continue
            if node.output[0] in self._attentions:
                body.extend(self._attention(node.output[0]))
                continue
            kept = replaced.get(id(node), node)
            if kept is not None:
                body.append(kept)
        return body

    def _attention(self, output: str) -> list[NodeProto]:
        attention = self._attentions[output]
        name = f"{output}.projected"
        projected = self._node(name, name, attention.projections, (), activation="identity")
        node = helper.make_node(
            "Attention",
            [name, "loop.text_offsets"],
            [output],
            name=output,
            domain=DOMAIN,
            heads=attention.heads,
        )
        return [projected, node]

    def _fused(self, node: NodeProto, product: Product) -> tuple[list[NodeProto], NodeProto]:
        """The nodes that one operator replaces, and that operator."""
        fused, bias = [node], product.bias
        features = len(product.weight)
        after = self._only_user(node)
        if after is not None and bias is None and after.op_type == "Add":
            other = next((it for it in after.input if it != node.output[0]), "")
            bias = self._vector(other, features)
            if bias is not None:
                fused.append(after)
                after = self._only_user(after)
        activation = "identity"
        if after is not None:
            found = self._activation(after, fused[-1].output[0], features)
            if found is not None and (found[1] is None or bias is None):
                activation, bias = found[0], found[1] if bias is None else bias
                fused.append(after)
                after = None
        name = node.output[0]
        if after is not None and after.op_type == "SkipLayerNormalization":
            operands = self._skip_norm(after, fused[-1].output[0], features)
            if operands is not None and (operands[1] is None or bias is None):
                residual, own_bias = operands
                product = product._replace(bias=own_bias if bias is None else bias)
                norm = (residual, after.input[2], after.input[3])
                epsilon = attributes_of(after).get("epsilon", 1e-12)
                fused.append(after)
                output = after.output[0]
                return fused, self._node(name, output, product, norm, epsilon=epsilon)
        product = product._replace(bias=bias)
        return fused, self._node(name, fused[-1].output[0], product, (), activation=activation)

    def _node(
        self, name: str, output: str, product: Product, norm: Sequence[str], **attributes: Any
    ) -> NodeProto:
        """The operator of a product; `norm` are the residual, scale and shift that follow it."""
        operator = "ProductAddNorm" if norm else "Product"
        if self._largest_activations is None or output == self._export.output:
            operands = self._operands(name, product)
        else:
            operator = f"Byte{operator}"
            is_activated = product.rows in self._activated
            attributes["values"] = ACTIVATED if is_activated else CENTERED
            factors = np.ones(product.weight.shape[1], np.float32)
            if not is_activated:
                factors = channel_factors(self._largest_activations[product.rows], product.weight)
            operands = self._byte_operands(name, product, factors)
        return helper.make_node(
            operator, [*operands, *norm], [output], name=output, domain=DOMAIN, **attributes
        )

    def _operands(self, name: str, product: Product) -> list[str]:
        weight = np.ascontiguousarray(product.weight)
        return [
            product.rows,
            self._weight(f"{name}.weight", panels_of(weight)),
            self._weight(f"{name}.bias", _bias(product)),
        ]

    def _byte_operands(
        self, name: str, product: Product, factors: NDArray[np.float32]
    ) -> list[str]:
        dense = quantize_dense(product.weight * factors)
        return [
            product.rows,
            self._weight(f"{name}.weight", byte_panels_of(dense.values)),
            self._weight(f"{name}.scales", dense.scales),
            self._weight(f"{name}.sums", dense.values.sum(axis=1, dtype=np.int32)),
            self._weight(f"{name}.bias", _bias(product)),
            self._weight(f"{name}.factors", np.reciprocal(factors)),
        ]

    def _weight(self, name: str, values: NDArray[Any]) -> str:
        """A tensor in the file of weights; layers that share weights share the tensor."""
        key = (values.dtype.str, values.shape, sha256(values.tobytes()).digest())
        if key not in self._stored:
            self._stored[key] = self._graph.weight(name, values)
        return self._stored[key]

    def _activation(
        self, node: NodeProto, rows: str, features: int
    ) -> tuple[str, NDArray[np.float32] | None] | None:
        """The activation that a node is, with the bias that it adds first."""
        if node.input[0] != rows:
            return None
        kind = (node.op_type, node.domain)
        if kind == ("BiasGelu", "com.microsoft"):
            bias = self._vector(node.input[1], features)
            return None if bias is None else ("gelu", bias)
        if kind in _GELU:
            if len(node.input) < 2 or not node.input[1]:
                return _GELU[kind], None
            bias = self._vector(node.input[1], features)
            return None if bias is None else (_GELU[kind], bias)
        if kind == ("Gelu", ""):
            tanh = attributes_of(node).get("approximate", b"none") == b"tanh"
            return ("gelu_tanh" if tanh else "gelu"), None
        if kind == ("Relu", ""):
            return "relu", None
        return None

    def _skip_norm(
        self, node: NodeProto, rows: str, features: int
    ) -> tuple[str, NDArray[np.float32] | None] | None:
        """The residual and the bias of a normalization of a sum with `rows`."""
        if any(node.output[1:]) or len(node.input) < 4 or not node.input[3]:
            return None
        first, second, scale, shift = node.input[:4]
        if (first == rows) == (second == rows):
            return None
        if self._vector(scale, features) is None or self._vector(shift, features) is None:
            return None
        residual = second if first == rows else first
        if residual in self._export.constants:
            return None
        if len(node.input) < 5 or not node.input[4]:
            return residual, None
        bias = self._vector(node.input[4], features)
        return None if bias is None else (residual, bias)

    def _only_user(self, node: NodeProto) -> NodeProto | None:
        users = self._users.get(node.output[0], [])
        is_output = node.output[0] == self._export.output
        return users[0] if len(users) == 1 and not is_output else None

    def _vector(self, name: str, length: int) -> NDArray[np.float32] | None:
        return vector_of(self._export, name, length)


def _bias(product: Product) -> NDArray[np.float32]:
    if product.bias is None:
        return np.zeros(len(product.weight), np.float32)
    return product.bias


class _Loop:
    """The loop over texts: slices of the inputs, the body, and what the bodies give together."""

    def __init__(self, graph: OnnxGraph, export: Export, body: Sequence[NodeProto]) -> None:
        self._graph = graph
        self._export = export
        self._body = body
        self._nodes: list[NodeProto] = []

    def inputs(self) -> list[ValueInfoProto]:
        """The inputs of the graph."""
        width = self._export.table.shape[1]
        found = [
            helper.make_tensor_value_info("word_embeddings", TensorProto.FLOAT, ("tokens", width))
        ]
        for name, needed in (
            ("input_ids", self._export.is_ids_read),
            ("positions", "position_ids" in self._export.inputs),
            ("token_type_ids", "token_type_ids" in self._export.inputs),
        ):
            if needed:
                info = helper.make_tensor_value_info(name, TensorProto.INT32, ("tokens",))
                found.append(info)
        offsets = helper.make_tensor_value_info("offsets", TensorProto.INT32, ("offsets",))
        return [*found, offsets]

    def output(self) -> ValueInfoProto:
        """The output of the graph."""
        axis = "texts" if self._export.is_logits else "tokens"
        return helper.make_tensor_value_info(
            self._export.output_name, TensorProto.FLOAT, (axis, self._export.hidden_size)
        )

    def write(self) -> None:
        """Writes the loop."""
        graph, size = self._graph, self._export.hidden_size
        one = graph.constant("loop.one", 1)
        texts = graph.node("Size", ["offsets"], "loop.offsets")
        texts = graph.node("Sub", [texts, one], "loop.texts")
        graph.tensor("loop.true", np.array(True))
        graph.tensor("loop.none", np.zeros((0, size), np.float32))
        graph.constant("loop.first", [0])
        graph.tensor("loop.zero", np.zeros(1, np.int32))
        graph.constant("loop.single", [1])
        graph.node(
            "Loop",
            [texts, "loop.true", "loop.none"],
            self._export.output_name,
            body=self._body_graph(),
        )

    def _body_graph(self) -> GraphProto:
        export, size = self._export, self._export.hidden_size
        start = self._bound("start", "text")
        self._add("Add", ["text", "loop.one.values"], "loop.next")
        end = self._bound("end", "loop.next")
        words = self._sliced("word_embeddings", start, end)
        self._add("Unsqueeze", [words, "loop.first.values"], export.lookup.output[0])
        if export.is_ids_read:
            self._integers("input_ids", "input_ids", start, end)
        if "token_type_ids" in export.inputs:
            self._integers("token_type_ids", "token_type_ids", start, end)
        if "position_ids" in export.inputs:
            self._integers("positions", "position_ids", start, end)
        length = self._add("Sub", [end, start], "loop.length")
        used = {name for node in self._body for name in set(node.input) | captured(node)}
        if "loop.text_offsets" in used:
            last = self._add("Cast", [length], "loop.length.int32", to=TensorProto.INT32)
            self._add("Concat", ["loop.zero", last], "loop.text_offsets", axis=0)
        if "attention_mask" in used:
            shape = self._add("Concat", ["loop.single.values", length], "loop.shape", axis=0)
            self._add("Expand", ["loop.single.values", shape], self._inner("attention_mask"))
        self._nodes.extend(self._renamed(node) for node in self._body)
        result = self._inner(export.output)
        if not export.is_logits:
            result = self._add("Squeeze", [result, "loop.first.values"], "loop.rows")
        self._add("Concat", ["before", result], "loop.after", axis=0)
        self._add("Identity", ["condition"], "loop.condition")
        return helper.make_graph(
            self._nodes,
            "text",
            [
                helper.make_tensor_value_info("text", TensorProto.INT64, ()),
                helper.make_tensor_value_info("condition", TensorProto.BOOL, ()),
                helper.make_tensor_value_info("before", TensorProto.FLOAT, (None, size)),
            ],
            [
                helper.make_tensor_value_info("loop.condition", TensorProto.BOOL, ()),
                helper.make_tensor_value_info("loop.after", TensorProto.FLOAT, (None, size)),
            ],
        )

    def _inner(self, name: str) -> str:
        """The name in the body of an input of the export, which the graph may have too."""
        outer = {"input_ids", "token_type_ids", "word_embeddings", "positions", "offsets"}
        outer |= {"attention_mask", "position_ids", "text", "condition", "before"}
        outer |= {self._export.output_name}
        return f"export.{name}" if name in outer else name

    def _renamed(self, node: NodeProto) -> NodeProto:
        copy = NodeProto()
        copy.CopyFrom(node)
        for names in (copy.input, copy.output):
            for index, name in enumerate(names):
                names[index] = self._inner(name)
        return copy

    def _bound(self, name: str, index: str) -> str:
        """A boundary of the text, int64 `[1]`."""
        found = self._add("Gather", ["offsets", index], f"loop.{name}.scalar", axis=0)
        found = self._add("Cast", [found], f"loop.{name}.int64", to=TensorProto.INT64)
        return self._add("Unsqueeze", [found, "loop.first.values"], f"loop.{name}")

    def _sliced(self, name: str, start: str, end: str) -> str:
        return self._add("Slice", [name, start, end], f"loop.{name}")

    def _integers(self, name: str, inner: str, start: str, end: str) -> None:
        """`[1, tokens]` of an input, as the export wants it."""
        rows = self._sliced(name, start, end)
        rows = self._add("Cast", [rows], f"loop.{name}.int64", to=TensorProto.INT64)
        self._add("Unsqueeze", [rows, "loop.first.values"], self._inner(inner))

    def _add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output
