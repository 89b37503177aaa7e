"""Products with a constant weight in an export."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from semblance_model.export import Export, attributes_of


class Product(NamedTuple):
    """A node that multiplies with a constant: `weight` `[features, inputs]`, `bias` or none."""

    rows: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def product_of(export: Export, node: NodeProto) -> Product | None:
    """The product that a node is, if its weight is constant."""
    attributes = attributes_of(node)
    if node.op_type in ("MatMul", "FusedMatMul"):
        weight = _weight(export, node.input[1])
        plain = {"transA": 0, "transBatchA": 0, "transBatchB": 0, "alpha": 1.0}
        if weight is None or any(attributes.get(it, no) != no for it, no in plain.items()):
            return None
        return Product(node.input[0], weight if attributes.get("transB") else weight.T, None)
    if node.op_type == "Gemm":
        weight = _weight(export, node.input[1])
        plain = {"transA": 0, "alpha": 1.0, "beta": 1.0}
        if weight is None or any(attributes.get(it, no) != no for it, no in plain.items()):
            return None
        weight = weight if attributes.get("transB") else weight.T
        if len(node.input) < 3 or not node.input[2]:
            return Product(node.input[0], weight, None)
        bias = vector_of(export, node.input[2], len(weight))
        return None if bias is None else Product(node.input[0], weight, bias)
    return None


def vector_of(export: Export, name: str, length: int) -> NDArray[np.float32] | None:
    """The constant `name` if it is a vector of this length."""
    values = export.constants.get(name)
    if values is None or values.shape != (length,) or values.dtype != np.float32:
        return None
    return values.astype(np.float32, copy=False)


def _weight(export: Export, name: str) -> NDArray[np.float32] | None:
    values = export.constants.get(name)
    if values is None or values.ndim != 2 or values.dtype != np.float32:
        return None
    return values.astype(np.float32, copy=False)


def product_inputs(export: Export) -> list[str]:
    """The tensors of the export that products with a constant weight read."""
    products = (product_of(export, node) for node in export.nodes)
    return sorted({it.rows for it in products if it is not None})
