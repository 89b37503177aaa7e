"""Builds an ONNX graph: nodes in execution order, weights in a separate file.

ONNX Runtime maps the file of weights into memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    StringStringEntryProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from semblance_model.quantize import Bytes, Integers
from semblance_model.weights import Array

GRAPH_FILE = "model.onnx"
WEIGHTS_FILE = "model.weights"

# A cache line and the widest vector register. ONNX Runtime maps a tensor at any offset, so page
# alignment is not needed.
ALIGNMENT_BYTES = 64

_IR_VERSION = 10
_ONNX_OPSET = 17
# The engine's operators; the others are ONNX's. `plain.py` defines what they compute.
DOMAIN = "semblance"
OPERATORS = frozenset(
    {"Product", "ProductAddNorm", "ByteProduct", "ByteProductAddNorm", "Attention"}
)


class OnnxGraph:
    """Nodes in execution order; weights are written to the file immediately."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._nodes: list[NodeProto] = []
        self._tensors: list[TensorProto] = []

    def weight(self, name: str, values: Array | Bytes | Integers, stored: str | None = None) -> str:
        """Appends a tensor to the weights file and returns its name, which `stored` replaces."""
        self._file.write(bytes(-self._file.tell() % ALIGNMENT_BYTES))
        data = values.astype(values.dtype.newbyteorder("<")).tobytes()
        tensor = TensorProto(
            name=stored or f"{name}.values",
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

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """Adds a tensor that stays in the graph, under this very name."""
        self._tensors.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, name: str, values: Sequence[int] | int | float | np.generic) -> str:
        """Adds a small tensor that stays in the graph; returns its name.

        A numpy value keeps its type; a Python value becomes int64 or float32.
        """
        if isinstance(values, np.generic):
            array = np.asarray(values)
        else:
            array = np.array(values, np.float32 if isinstance(values, float) else np.int64)
        self._tensors.append(
            helper.make_tensor(
                f"{name}.values",
                helper.np_dtype_to_tensor_dtype(array.dtype),
                array.shape,
                array.flatten().tolist(),
            )
        )
        return f"{name}.values"

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str,
        **attributes: float | int | str | Iterable[int] | GraphProto,
    ) -> str:
        """Appends a node named after its output and returns that output."""
        node = helper.make_node(
            operator,
            inputs,
            [output],
            name=output,
            domain=DOMAIN if operator in OPERATORS else "",
        )
        node.attribute.extend(
            helper.make_attribute(name, value) for name, value in sorted(attributes.items())
        )
        self._nodes.append(node)
        return output

    def append(self, node: NodeProto) -> None:
        """Appends a finished node."""
        self._nodes.append(node)

    def name_output(self, output: str, name: str) -> str:
        """Renames the last node's output to `name`, which the graph then returns."""
        last = self._nodes[-1]
        assert last.output[0] == output
        last.output[0] = name
        return name

    def model(
        self,
        inputs: Sequence[ValueInfoProto],
        *outputs: ValueInfoProto,
        opsets: Mapping[str, int] | None = None,
    ) -> ModelProto:
        """The finished model, without names, dates or versions that would differ between builds."""
        versions = dict(opsets or {"": _ONNX_OPSET}) | {DOMAIN: 1}
        return helper.make_model(
            helper.make_graph(self._nodes, "bert", inputs, outputs, self._tensors),
            ir_version=_IR_VERSION,
            producer_name="semblance",
            opset_imports=[
                OperatorSetIdProto(domain=domain, version=version)
                for domain, version in sorted(versions.items())
            ],
        )
