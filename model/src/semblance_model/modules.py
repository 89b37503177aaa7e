"""The modules of a sentence-transformers folder: `modules.json`, pooling and dense layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from semblance_model.field import Fields, read_fields, read_json, shown
from semblance_model.keys import check_module
from semblance_model.refusal import Refusal
from semblance_model.source import Source
from semblance_model.tensors import PICKLE_FILE, WEIGHTS_FILE, Checkpoint, find_checkpoint

# Field of 1_Pooling/config.json -> pooling of a bundle. Several are concatenated in this order.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last_token",
}
_POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last_token",
}

_KNOWN = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")

# The class of a dense layer's activation -> its name in a bundle.
_DENSE_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.GELU": "gelu",
}

# What these fields of a dense layer must be: a bundle's layers pass on one vector a text.
_DENSE_FIELDS = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "use_residual": False,
}


@dataclass(frozen=True)
class DenseModule:
    """A dense layer after the pooling."""

    inputs: int
    outputs: int
    has_bias: bool
    activation: str
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Modules:
    """The content of `modules.json`: the folders of the transformer, pooling and dense layers."""

    transformer: str
    pooling: str | None
    dense: Sequence[str]
    normalize: bool


def read_modules(source: Source) -> Modules | None:
    """The modules of a folder, or None if it has no `modules.json`.

    Raises `Refusal` for a module that a bundle does not have, or another order.
    """
    path = source.path("modules.json")
    if path is None:
        return None
    entries = read_json("modules.json", path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refusal("model.invalid_json", "modules.json: expected a list of objects")
    kinds: list[str] = []
    paths: list[str] = []
    for index, entry in enumerate(entries):
        fields = Fields(f"modules.json: entry {index}", entry)
        check_module(fields)
        kind = fields.text("type")
        name = kind.rsplit(".", 1)[-1]
        if not kind.startswith("sentence_transformers.") or name not in _KNOWN:
            raise Refusal(
                "model.module",
                f"modules.json: entry {index} is {shown(kind)}, expected Transformer, Pooling, "
                "Dense or Normalize of sentence_transformers",
            )
        # Dropout has no effect at inference.
        if name != "Dropout":
            kinds.append(name)
            paths.append(fields.text("path", ""))
    dense = kinds.count("Dense")
    rest = [["Normalize"] * last for last in (0, 1)]
    orders = [["Transformer", "Pooling", *["Dense"] * dense, *last] for last in rest]
    if kinds != ["Transformer"] and kinds not in orders:
        raise Refusal(
            "model.module",
            f"modules.json: the modules are {shown(kinds)}, expected Transformer, Pooling, any "
            "number of Dense and at most one Normalize, in this order",
        )
    return Modules(
        transformer=paths[0],
        pooling=paths[1] if len(kinds) > 1 else None,
        dense=tuple(path for path, kind in zip(paths, kinds, strict=True) if kind == "Dense"),
        normalize="Normalize" in kinds,
    )


def read_pooling(source: Source, folder: str, hidden_size: int, has_prompts: bool) -> list[str]:
    """The poolings in `folder`, whose results are concatenated.

    Raises `Refusal` for a pooling that a bundle does not have, or one that leaves out the prompt.
    """
    config = required(source, join(folder, "config.json"))
    width = (
        "embedding_dimension" if config.has("embedding_dimension") else "word_embedding_dimension"
    )
    if config.integer(width, hidden_size) != hidden_size:
        raise config.invalid(
            width, config.values[width], f"hidden_size {hidden_size} of config.json"
        )
    if not config.flag("include_prompt", True) and has_prompts:
        raise Refusal(
            "model.pooling",
            f"{config.file}: field include_prompt is false and the model has prompts; pooling "
            "that excludes the prompt is not supported",
        )
    if config.has("pooling_mode"):
        mode = config.values["pooling_mode"]
        modes = mode if isinstance(mode, list) else [mode]
        if not modes or any(not isinstance(it, str) or it not in _POOLING_NAMES for it in modes):
            raise Refusal(
                "model.pooling",
                f"{config.file}: field pooling_mode is {shown(mode)}, expected "
                f"{', '.join(_POOLING_NAMES)}, or a list of these",
            )
        return [_POOLING_NAMES[mode] for mode in modes]
    active = [name for name in _POOLING_FLAGS if config.flag(name, False)]
    return [_POOLING_FLAGS[name] for name in active] or ["mean"]


def read_dense(source: Source, folder: str, inputs: int, notes: list[str]) -> DenseModule:
    """The dense layer in `folder`, whose input has `inputs` features."""
    config = required(source, join(folder, "config.json"))
    if config.integer("in_features") != inputs:
        raise config.invalid(
            "in_features", config.values["in_features"], f"the {inputs} features it is given"
        )
    for name, wanted in _DENSE_FIELDS.items():
        if config.has(name) and config.values[name] != wanted:
            raise Refusal(
                "model.module",
                f"{config.file}: field {name} is {shown(config.values[name])}, expected "
                f"{shown(wanted)}",
            )
    activation = _dense_activation(config, notes)
    checkpoint = find_checkpoint(lambda name: source.path(join(folder, name)))
    if checkpoint is None:
        raise Refusal(
            "source.file_missing",
            f"{join(folder, WEIGHTS_FILE)} is missing, and so is {PICKLE_FILE}",
        )
    return DenseModule(
        inputs=inputs,
        outputs=config.integer("out_features"),
        has_bias=config.flag("bias", True),
        activation=activation,
        checkpoint=checkpoint,
    )


def _dense_activation(config: Fields, notes: list[str]) -> str:
    path = config.text("activation_function", "torch.nn.Tanh")
    if path in _DENSE_ACTIVATIONS:
        return _DENSE_ACTIVATIONS[path]
    if path.startswith("torch."):
        raise Refusal(
            "model.activation",
            f'{config.file}: field activation_function is "{path}", expected Identity, Tanh, ReLU '
            "or GELU of torch.nn",
        )
    notes.append(
        f"{config.file}: activation_function {shown(path)} is not in torch and is ignored, like in "
        "sentence-transformers; using tanh"
    )
    return "tanh"


def required(source: Source, name: str) -> Fields:
    """The JSON object in a file that must exist."""
    path = source.path(name)
    if path is None:
        raise Refusal("source.file_missing", f"{name} is missing")
    return read_fields(name, path)


def optional(source: Source, name: str) -> Fields:
    """The JSON object in a file; empty if it does not exist."""
    path = source.path(name)
    return Fields(name, {}) if path is None else read_fields(name, path)


def join(folder: str, name: str) -> str:
    """The name of a file of a module."""
    return str(PurePosixPath(folder) / name)
