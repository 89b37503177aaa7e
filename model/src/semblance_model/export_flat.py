"""Exports that need no loop: apart from attention, they compute each token from itself.

The engine's attention keeps texts apart, and positions are an input of a bundle. What is left then
gives the same for tokens of several texts, one after the other, as for each text alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from semblance_model.export import Export, aliases, needed

_BY_TOKEN = (
    *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Erf", "Tanh", "Sigmoid", "Cast", "Identity"),
    *("Relu", "Gelu", "FastGelu", "BiasGelu", "QuickGelu"),
    *("LayerNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization"),
    *("MatMul", "FusedMatMul", "Gemm", "Gather", "Attention"),
)

_IR_VERSION = 10
_TOKENS = 7


def flat_export(export: Export) -> tuple[Export, Mapping[str, int]] | None:
    """The export with positions as inputs: their names, and the first position of each.

    `export` has the engine's attention. None if it computes a token from others in another way.
    """
    types = aliases(export.nodes, "token_type_ids")
    positions: dict[str, int] = {}
    nodes: list[NodeProto] = []
    for node in export.nodes:
        kept = node
        if node.op_type == "Gather" and node is not export.lookup:
            index = node.input[1]
            table = export.constants.get(node.input[0])
            if table is not None and table.ndim == 2 and index not in types:
                first = _first_position(export, index)
                if first is None:
                    return None
                kept = NodeProto()
                kept.CopyFrom(node)
                kept.input[1] = f"export.positions.{first}"
                positions[kept.input[1]] = first
        nodes.append(kept)
    nodes = needed(nodes, export.output)
    others = [it for it in nodes if it is not export.lookup]
    read = {name for node in others for name in node.input}
    if read & {"input_ids", "attention_mask", "position_ids"}:
        return None
    is_flat = all(it.op_type in _BY_TOKEN for it in others) and all(
        it.input[0] in export.constants for it in others if it.op_type == "Gather"
    )
    return (replace(export, nodes=nodes, is_ids_read=False), positions) if is_flat else None


def _first_position(export: Export, index: str) -> int | None:
    """The first of consecutive numbers that `index` has for the tokens of a text.

    None if it depends on the ids of the tokens: RoBERTa does not count padding inside a text.
    """
    nodes: Sequence[NodeProto] = needed(export.nodes, index)
    read = {name for node in nodes for name in node.input}
    ids = aliases(nodes, "input_ids")
    readers = [it for it in nodes if ids & set(it.input) and it.output[0] not in ids]
    if any(it.op_type != "Shape" for it in readers):
        return None
    inputs = [name for name in export.inputs if name in read]
    constants = [
        numpy_helper.from_array(export.constants[it], it)
        for it in sorted(read & export.constants.keys())
    ]
    graph = helper.make_graph(
        nodes,
        "positions",
        [helper.make_tensor_value_info(it, TensorProto.INT64, (None, None)) for it in inputs],
        [helper.make_tensor_value_info(index, TensorProto.INT64, None)],
        constants,
    )
    opsets = [helper.make_opsetid(*it) for it in export.opsets.items()]
    model = helper.make_model(graph, ir_version=_IR_VERSION, opset_imports=opsets)
    values = {
        "input_ids": np.full((1, _TOKENS), len(export.table) - 1),
        "attention_mask": np.ones((1, _TOKENS), np.int64),
        "token_type_ids": np.zeros((1, _TOKENS), np.int64),
        "position_ids": np.arange(_TOKENS)[np.newaxis],
    }
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {name: values[name] for name in inputs})
    except Exception:  # ONNX Runtime raises several classes, for numbers of another type too
        return None
    first = int(found.reshape(-1)[0]) if found.size == _TOKENS else -1
    return first if first >= 0 and (found.reshape(-1) == first + np.arange(_TOKENS)).all() else None
