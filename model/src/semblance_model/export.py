"""An ONNX export of an encoder: what is read from it, and which exports are refused.

The graph is optimized once by ONNX Runtime, for any processor. Attention and the embedding layer
are not fused there, because these operators hide their weights.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, load, numpy_helper, version_converter
from onnx.external_data_helper import ExternalDataInfo

from semblance_model.refusal import Refusal

# Where exports are, in the order of preference: optimum and sentence-transformers use the first.
EXPORT_FILES = ("onnx/model.onnx", "model.onnx")

# The input of each name, by what the engine gives: token ids, 1 for each token, types, positions.
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")

# Outputs by name: rows of tokens, and logits of a text.
TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
LOGITS = "logits"

_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "Integer", "QLinear", "QAttention", "NBits")

_NARROW = {
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT4,
    TensorProto.UINT4,
    TensorProto.FLOAT8E4M3FN,
    TensorProto.FLOAT8E5M2,
}

_FUSED = {
    ("EmbedLayerNormalization", "com.microsoft"),
    ("Attention", "com.microsoft"),
}

_OLDEST_OPSET, _OPSET = 13, 17

# They fuse weights into an operator.
_DISABLED = [
    "AttentionFusion",
    "EmbedLayerNormFusion",
    "ConstantSharing",
]


@dataclass(frozen=True)
class Export:
    """An optimized export. `output` is the tensor that a bundle returns, `table` the embeddings.

    `inputs` are the export's inputs. `constants` are the initializers by name.
    """

    file: str
    path: Path
    external: Sequence[Path]
    nodes: Sequence[NodeProto]
    constants: Mapping[str, NDArray[np.generic]]
    opsets: Mapping[str, int]
    inputs: Sequence[str]
    output: str
    output_name: str
    hidden_size: int
    is_logits: bool
    lookup: NodeProto
    is_ids_read: bool

    @property
    def table(self) -> NDArray[np.float32]:
        """The embedding table, `[vocabulary, width]`."""
        return self.constants[self.lookup.input[0]].astype(np.float32, copy=False)

    @property
    def position_rows(self) -> int | None:
        """Rows of the table of positions, if the export names it."""
        rows = [
            len(values)
            for name, values in self.constants.items()
            if values.ndim == 2 and "position_embeddings" in name and len(values) > 2
        ]
        return rows[0] if len(rows) == 1 else None


def find_export(path_of: Callable[[str], Path | None]) -> tuple[str, Path] | None:
    """The name and path of the export in a folder."""
    for name in EXPORT_FILES:
        path = path_of(name)
        if path is not None:
            return name, path
    return None


def read_export(
    name: str, path: Path, path_of: Callable[[str], Path | None], output: str | None
) -> Export:
    """Reads and optimizes an export; `output` is the tensor to return if its name is not known.

    Raises `Refusal` for an export that cannot become a bundle.
    """
    try:
        model = load(path, load_external_data=False)
    except Exception as error:  # the error of protobuf, which has no types
        raise Refusal("onnx.format", f"{name}: not an ONNX model: {error}") from error
    external = _external_files(name, model, path_of)
    _check_quantization(name, model)
    inputs = _checked_inputs(name, model)
    chosen, is_logits = _chosen_output(name, model, output)
    try:
        optimized = _optimized(path, model)
    except Exception as error:  # both raise their own classes
        raise Refusal("onnx.format", f"{name}: ONNX Runtime rejects it: {error}") from error
    graph = optimized.graph
    constants = {it.name: numpy_helper.to_array(it) for it in graph.initializer}
    for constant, values in constants.items():
        if (values.ndim > 1 and values.dtype.kind not in "fibu") or values.dtype == np.float16:
            raise Refusal(
                "onnx.type",
                f"{name}: tensor {constant} is {values.dtype}, expected float32: export in fp32",
            )
    nodes = needed(graph.node, chosen)
    lookup = _lookup(name, nodes, constants)
    size = _last_size(model, chosen)
    if size is None:
        raise Refusal("onnx.output", f"{name}: output {chosen} has no fixed number of features")
    ids = _aliases(nodes, "input_ids")
    is_ids_read = any(
        ids & set(node.input) for node in nodes if node is not lookup and node.output[0] not in ids
    )
    return Export(
        file=name,
        path=path,
        external=external,
        nodes=nodes,
        constants=constants,
        opsets={it.domain: it.version for it in optimized.opset_import},
        inputs=inputs,
        output=chosen,
        output_name=LOGITS if is_logits else "token_embeddings",
        hidden_size=size,
        is_logits=is_logits,
        lookup=lookup,
        is_ids_read=is_ids_read,
    )


def _external_files(
    name: str, model: ModelProto, path_of: Callable[[str], Path | None]
) -> list[Path]:
    """The files of weights; each exists in the folder of the export and is not a pointer."""
    paths: dict[str, Path] = {}
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            location = str(PurePosixPath(name).parent / ExternalDataInfo(tensor).location)
            if location in paths:
                continue
            path = path_of(location)
            if path is None:
                raise Refusal("source.file_missing", f"{location} is missing; {name} names it")
            paths[location] = path
    return list(paths.values())


def _check_quantization(name: str, model: ModelProto) -> None:
    found = [
        f"tensor {tensor.name} is {TensorProto.DataType.Name(tensor.data_type).lower()}"
        for tensor in model.graph.initializer
        if tensor.data_type in _NARROW and len(tensor.dims) > 1
    ] + [
        f"operator {node.op_type}"
        for node in model.graph.node
        if any(part in node.op_type for part in _QUANTIZED)
    ]
    if found:
        raise Refusal(
            "onnx.quantized",
            f"{name}: the export is quantized ({found[0]}); export the model in fp32, and build it "
            "with --precision int8 for 8 bits",
        )
    for node in model.graph.node:
        if (node.op_type, node.domain) in _FUSED:
            raise Refusal(
                "onnx.fused",
                f"{name}: operator {node.op_type} hides the weights; export the model without "
                "optimization (optimum: no --optimize)",
            )


def _checked_inputs(name: str, model: ModelProto) -> list[str]:
    constants = {it.name for it in model.graph.initializer}
    found = [it for it in model.graph.input if it.name not in constants]
    names = [it.name for it in found]
    unknown = [it for it in names if it not in INPUTS]
    if any(it.startswith("past_key_values") for it in unknown):
        raise Refusal(
            "onnx.input",
            f"{name}: the inputs have a cache, past_key_values; export the model for embeddings, "
            "without a cache (optimum: --task feature-extraction)",
        )
    if unknown or "input_ids" not in names:
        raise Refusal(
            "onnx.input",
            f"{name}: the inputs are {', '.join(names)}, expected input_ids and none but "
            f"{', '.join(INPUTS)}",
        )
    for value in found:
        dims = value.type.tensor_type.shape.dim
        fixed = [dim.dim_value for dim in dims if dim.HasField("dim_value")]
        if len(dims) != 2 or dims[1].HasField("dim_value") or any(size != 1 for size in fixed):
            raise Refusal(
                "onnx.shape",
                f"{name}: input {value.name} has the shape {_shown(dims)}, expected [batch, "
                "tokens] of any size: export with dynamic axes",
            )
        if value.type.tensor_type.elem_type not in (TensorProto.INT64, TensorProto.INT32):
            raise Refusal("onnx.type", f"{name}: input {value.name} is not int64 or int32")
    return names


def _chosen_output(name: str, model: ModelProto, wanted: str | None) -> tuple[str, bool]:
    outputs = {it.name: it for it in model.graph.output}
    shown = ", ".join(
        f"{it} {_shown(value.type.tensor_type.shape.dim)}" for it, value in outputs.items()
    )
    if wanted is not None:
        if wanted not in outputs:
            raise Refusal("onnx.output", f"{name}: --onnx-output {wanted}: the outputs are {shown}")
        chosen = wanted
    else:
        known = [it for it in (*TOKEN_OUTPUTS, LOGITS) if it in outputs]
        if len(known) != 1:
            reason = "several of them are known" if known else "none has a known name"
            raise Refusal(
                "onnx.output",
                f"{name}: the outputs are {shown}, and {reason}; name the one with [batch, tokens, "
                "features] with --onnx-output",
            )
        chosen = known[0]
    element = outputs[chosen].type.tensor_type.elem_type
    if element != TensorProto.FLOAT:
        raise Refusal(
            "onnx.type",
            f"{name}: output {chosen} is {TensorProto.DataType.Name(element).lower()}, expected "
            "float: export in fp32",
        )
    rank = len(outputs[chosen].type.tensor_type.shape.dim)
    if rank not in (2, 3) or (rank == 2 and chosen in TOKEN_OUTPUTS):
        raise Refusal(
            "onnx.output",
            f"{name}: output {chosen} has {rank} axes, expected [batch, tokens, features] or, for "
            "a cross-encoder, [batch, labels]",
        )
    return chosen, rank == 2


def _optimized(path: Path, model: ModelProto) -> ModelProto:
    """The model after ONNX Runtime's optimizations for every processor, with all of its values."""
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "optimized.onnx"
        source: str | bytes = str(path)
        version = next(it.version for it in model.opset_import if it.domain in ("", "ai.onnx"))
        if version < _OLDEST_OPSET:
            source = version_converter.convert_version(load(path), _OPSET).SerializeToString()
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(file)
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", "optimized.data"
        )
        onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=_DISABLED
        )
        return load(file)


def needed(nodes: Iterable[NodeProto], output: str) -> list[NodeProto]:
    """The nodes that `output` depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            wanted |= set(node.input) | captured(node)
            kept.append(node)
    return kept[::-1]


def captured(node: NodeProto) -> set[str]:
    """Names that the subgraphs of a node take from around it, and some that are inside."""
    return {
        name
        for attribute in node.attribute
        if attribute.HasField("g")
        for inner in attribute.g.node
        for name in set(inner.input) | captured(inner)
    }


def _aliases(nodes: Sequence[NodeProto], name: str) -> set[str]:
    """`name`, and what casts and copies of it are called."""
    names = {name}
    for node in nodes:
        if node.op_type in ("Cast", "Identity") and node.input[0] in names:
            names.add(node.output[0])
    return names


def _lookup(
    name: str, nodes: Sequence[NodeProto], constants: Mapping[str, NDArray[np.generic]]
) -> NodeProto:
    ids = _aliases(nodes, "input_ids")
    found = [
        node
        for node in nodes
        if node.op_type == "Gather"
        and node.input[1] in ids
        and node.input[0] in constants
        and constants[node.input[0]].ndim == 2
        and all(it.name != "axis" or it.i == 0 for it in node.attribute)
    ]
    if len(found) != 1:
        raise Refusal(
            "onnx.table",
            f"{name}: {len(found)} tables of rows are looked up by input_ids, expected 1",
        )
    return found[0]


def _last_size(model: ModelProto, output: str) -> int | None:
    value = next(it for it in model.graph.output if it.name == output)
    dim = value.type.tensor_type.shape.dim[-1]
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _shown(dims: Iterable[object]) -> str:
    sizes = (getattr(it, "dim_param", "") or str(getattr(it, "dim_value", "?")) for it in dims)
    return f"[{', '.join(sizes)}]"


def attributes_of(node: NodeProto) -> dict[str, object]:
    """The attributes of a node by name."""
    return {it.name: helper.get_attribute_value(it) for it in node.attribute}
