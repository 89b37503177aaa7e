"""Attention in an export: found by its form, and replaced by the engine's operator.

Found is attention whose queries, keys and values are products of the same rows with constant
weights: the operator MultiHeadAttention, or its parts. What the export adds to the scores or masks
is left out: without padding, a plain mask adds nothing. The builder compares the result with the
export, and does without the replacement if they differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from onnx import NodeProto, helper

from semblance_model.export import Export, attributes_of, needed
from semblance_model.export_product import Product, product_of, vector_of
from semblance_model.onnx_graph import DOMAIN

_PRODUCTS = ("MatMul", "FusedMatMul")

# How queries and values, and keys, are turned: [batch, tokens, heads, size] to these axes.
_BY_HEAD, _KEYS = [0, 2, 1, 3], [0, 2, 3, 1]

_SCALE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ExportAttention:
    """Attention over `projections`, the product that gives queries, keys and values."""

    projections: Product
    heads: int


class _Heads(NamedTuple):
    """A tensor that is split into heads, and a factor. One of `heads` and `size` may be -1."""

    tensor: str
    heads: int
    size: int
    factor: float


def replace_attention(export: Export) -> tuple[Export, Mapping[str, ExportAttention]]:
    """The export with a node of the engine for each attention, and these by their output."""
    finder = _Finder(export)
    found: dict[str, ExportAttention] = {}
    nodes: list[NodeProto] = []
    for node in export.nodes:
        output, attention = finder.attention(node)
        if attention is not None:
            found[output] = attention
    for node in export.nodes:
        name = node.output[0]
        if name in found:
            rows = found[name].projections.rows
            nodes.append(helper.make_node("Attention", [rows], [name], name=name, domain=DOMAIN))
        else:
            nodes.append(node)
    return replace(export, nodes=needed(nodes, export.output)), found


class _Finder:
    """The nodes of an export by what they give and by what they read."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._sources = {name: node for node in export.nodes for name in node.output}
        self._users: dict[str, list[NodeProto]] = {}
        for node in export.nodes:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def attention(self, node: NodeProto) -> tuple[str, ExportAttention | None]:
        """The attention whose operator or softmax is `node`, and the name of its output."""
        if node.op_type == "MultiHeadAttention":
            return node.output[0], self._operator(node)
        if node.op_type == "Softmax":
            return self._parts(node)
        return "", None

    def _operator(self, node: NodeProto) -> ExportAttention | None:
        attributes = attributes_of(node)
        inputs = [*node.input, *[""] * 8][:8]
        query, key, value, bias, mask, _, *past = inputs
        if bias or mask or any(past) or any(node.output[1:]) or attributes.get("unidirectional"):
            return None
        heads = attributes["num_heads"]
        assert isinstance(heads, int)
        scale = attributes.get("scale", 0.0)
        assert isinstance(scale, float)
        return self._checked((query, key, value), heads, scale or None)

    def _parts(self, softmax: NodeProto) -> tuple[str, ExportAttention | None]:
        none = ("", None)
        weights = softmax.output[0]
        users = self._users.get(weights, [])
        # transformers replaces NaN, which only a row without any token has.
        if {user.op_type for user in users} == {"IsNaN", "Where"}:
            weights = next(user for user in users if user.op_type == "Where").output[0]
        context = self._only_user(weights, _PRODUCTS)
        if context is None or context.input[0] != weights or not _is_plain(context):
            return none
        value = self._heads(context.input[1], _BY_HEAD)
        turned = self._only_user(context.output[0], ("Transpose",))
        if value is None or turned is None or attributes_of(turned).get("perm") != _BY_HEAD:
            return none
        joined = self._only_user(turned.output[0], ("Reshape",))
        scores, factor = self._scaled(self._unmasked(softmax.input[0]))
        product = self._sources.get(scores)
        if joined is None or product is None or product.op_type not in _PRODUCTS:
            return none
        attributes = attributes_of(product)
        query = self._heads(product.input[0], _BY_HEAD)
        key = self._heads(product.input[1], _BY_HEAD if attributes.get("transB") else _KEYS)
        if query is None or key is None or len({it[1:3] for it in (query, key, value)}) > 1:
            return none
        alpha = attributes.get("alpha", 1.0)
        assert isinstance(alpha, float)
        scale = alpha * factor * query.factor * key.factor
        parts = (query.tensor, key.tensor, value.tensor)
        if value.factor != 1:
            return none
        heads = value.heads
        if heads == -1:
            projection = self._projection(value.tensor)
            heads = 0 if projection is None else len(projection.weight) // value.size
        return joined.output[0], self._checked(parts, heads, scale)

    def _checked(
        self, tensors: Sequence[str], heads: int, scale: float | None
    ) -> ExportAttention | None:
        """The attention over these products, if they have the same rows and the usual scale."""
        products = [self._projection(it) for it in tensors]
        found = [it for it in products if it is not None]
        if len(found) < len(products) or len({it.rows for it in found}) > 1:
            return None
        shapes = {it.weight.shape for it in found}
        features = len(found[0].weight)
        if len(shapes) > 1 or heads < 1 or features % heads:
            return None
        usual = (features / heads) ** -0.5
        if scale is not None and abs(scale / usual - 1) > _SCALE_TOLERANCE:
            return None
        weight = np.concatenate([it.weight for it in found])
        bias = np.concatenate(
            [np.zeros(features, np.float32) if it.bias is None else it.bias for it in found]
        )
        return ExportAttention(Product(found[0].rows, weight, bias), heads)

    def _projection(self, tensor: str) -> Product | None:
        node = self._sources.get(tensor)
        if node is None:
            return None
        if node.op_type != "Add":
            return product_of(self._export, node)
        for rows, bias in (node.input, node.input[::-1]):
            source = self._sources.get(rows)
            product = None if source is None else product_of(self._export, source)
            if product is None or product.bias is not None:
                continue
            values = vector_of(self._export, bias, len(product.weight))
            if values is not None:
                return product._replace(bias=values)
        return None

    def _heads(self, tensor: str, axes: list[int]) -> _Heads | None:
        """What is turned to these axes, if that is a tensor split into heads."""
        tensor, factor = self._scaled(tensor)
        turned = self._sources.get(tensor)
        if turned is None or turned.op_type != "Transpose":
            return None
        if attributes_of(turned).get("perm") != axes:
            return None
        tensor, inner = self._scaled(turned.input[0])
        split = self._sources.get(tensor)
        if split is None or split.op_type != "Reshape":
            return None
        found = self._split(split.input[1])
        return None if found is None else _Heads(split.input[0], *found, factor * inner)

    def _split(self, shape: str) -> tuple[int, int] | None:
        """The last two of the four lengths in `shape`."""
        values = self._export.constants.get(shape)
        if values is not None:
            return (int(values[2]), int(values[3])) if values.shape == (4,) else None
        source = self._sources.get(shape)
        if source is None or source.op_type != "Concat" or len(source.input) != 4:
            return None
        parts = [self._export.constants.get(it) for it in source.input[2:]]
        if any(it is None or it.size != 1 for it in parts):
            return None
        heads, size = (int(it.reshape(-1)[0]) for it in parts if it is not None)
        return heads, size

    def _scaled(self, tensor: str) -> tuple[str, float]:
        """What is multiplied with or divided by constants, and the factor."""
        factor = 1.0
        while True:
            node = self._sources.get(tensor)
            if node is None or node.op_type not in ("Mul", "Div"):
                return tensor, factor
            first, second = node.input
            if node.op_type == "Mul" and first in self._export.constants:
                first, second = second, first
            values = self._export.constants.get(second)
            if values is None or values.size != 1:
                return tensor, factor
            value = float(values.reshape(-1)[0])
            factor *= value if node.op_type == "Mul" else 1 / value
            tensor = first

    def _unmasked(self, tensor: str) -> str:
        """The scores to which a mask is added."""
        node = self._sources.get(tensor)
        if node is None or node.op_type != "Add":
            return tensor
        scores = (self._scaled(name)[0] for name in node.input)
        sources = [self._sources.get(name) for name in scores]
        is_product = [it is not None and it.op_type in _PRODUCTS for it in sources]
        return str(node.input[is_product.index(True)]) if any(is_product) else tensor

    def _only_user(self, tensor: str, operators: Sequence[str]) -> NodeProto | None:
        users = self._users.get(tensor, [])
        return users[0] if len(users) == 1 and users[0].op_type in operators else None


def _is_plain(node: NodeProto) -> bool:
    """Whether a product has no attribute that changes it."""
    usual = {"transA": 0, "transB": 0, "transBatchA": 0, "transBatchB": 0, "alpha": 1.0}
    return all(usual.get(name) == value for name, value in attributes_of(node).items())
