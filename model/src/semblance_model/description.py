"""Reads the description of a model from a sentence-transformers folder into one typed value.

A model that a bundle cannot express is rejected here, before anything is written.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from semblance_model.field import Fields, read_fields, read_json, shown
from semblance_model.refusal import Refusal
from semblance_model.source import WEIGHTS_FILE, Source
from semblance_model.tokenizer import BundleTokenizer, bundle_tokenizer
from semblance_model.tokenizer_file import read_tokenizer

Task = Literal["embedding", "cross-encoder"]

ARCHITECTURES: dict[str, Task] = {
    "BertModel": "embedding",
    "BertForSequenceClassification": "cross-encoder",
}

# Names of hidden_act that are the same function. The Gelu of BERT is exact (with erf); gelu_new and
# gelu_pytorch_tanh are its tanh approximation.
HIDDEN_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}

# Field of 1_Pooling/config.json -> pooling of a bundle; None if a bundle does not support it.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": None,
    "pooling_mode_lasttoken": None,
}
_POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
}

_ACTIVATIONS = {
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.Sigmoid": "sigmoid",
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.Identity": "identity",
}

# License names of the hub -> SPDX identifiers.
_LICENCES = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc0-1.0": "CC0-1.0",
    "gpl-3.0": "GPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only",
    "unlicense": "Unlicense",
}

# [CLS], one token of text, [SEP].
_SHORTEST_TEXT_TOKENS = 3


@dataclass(frozen=True)
class Shape:
    """The sizes of a BERT encoder, from `config.json`."""

    layers: int
    heads: int
    hidden_size: int
    intermediate_size: int
    vocabulary_size: int
    positions: int
    token_types: int
    layer_norm_epsilon: float
    hidden_activation: str


@dataclass(frozen=True)
class Description:
    """A model that the builder accepts.

    `pooling` and `normalize` are None for a cross-encoder, `labels` and `activation` for an
    embedding model. `notes` are messages for the user: what was assumed and why.
    """

    task: Task
    shape: Shape
    max_tokens: int
    pooling: str | None
    normalize: bool | None
    prompts: dict[str, str]
    labels: int | None
    activation: str | None
    licence: str
    tokenizer: BundleTokenizer
    weights: Path
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Modules:
    """The content of `modules.json`: the folders of the transformer and of the pooling."""

    transformer: str
    pooling: str | None
    normalize: bool


def describe(source: Source) -> Description:
    """The description of the model in `source`.

    Raises `Refusal` for a model that a bundle cannot express.
    """
    notes: list[str] = []
    modules = _modules(source)
    inside = modules.transformer if modules is not None else ""
    config = _required(source, _join(inside, "config.json"))
    task = _task(config)
    shape = _shape(config)
    sentence = _optional(source, _join(inside, "sentence_bert_config.json"))
    general = _optional(source, "config_sentence_transformers.json")
    tokenizer_config = _optional(source, _join(inside, "tokenizer_config.json"))
    _check_transformer_task(sentence, task)
    tokenizer = bundle_tokenizer(
        read_tokenizer(source, inside, tokenizer_config),
        tokenizer_config,
        sentence.flag("do_lower_case", False),
        shape.vocabulary_size,
    )
    pooling: str | None = None
    normalize: bool | None = None
    labels: int | None = None
    activation: str | None = None
    prompts = _prompts(general)
    if task == "embedding":
        normalize = modules.normalize if modules is not None else False
        if modules is not None and modules.pooling is not None:
            pooling = _pooling(_required(source, _join(modules.pooling, "config.json")), shape)
            _check_prompt_pooling(source, modules.pooling, prompts)
        else:
            pooling = "mean"
            notes.append(
                "modules.json is missing: using mean pooling without normalization, like "
                "sentence-transformers"
            )
    else:
        if modules is not None and (modules.pooling is not None or modules.normalize):
            raise Refusal(
                "model.module",
                "modules.json: a cross-encoder (BertForSequenceClassification) must not have "
                "Pooling or Normalize",
            )
        labels = _labels(config)
        activation = _activation(config, general, labels, notes)
    return Description(
        task=task,
        shape=shape,
        max_tokens=_max_tokens(sentence, tokenizer_config, config, shape, notes),
        pooling=pooling,
        normalize=normalize,
        prompts=prompts,
        labels=labels,
        activation=activation,
        licence=_licence(source),
        tokenizer=tokenizer,
        weights=_weights(source, inside),
        notes=tuple(notes),
    )


def _modules(source: Source) -> _Modules | None:
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
        kind = fields.text("type")
        name = kind.rsplit(".", 1)[-1]
        # Dropout has no effect at inference.
        if not kind.startswith("sentence_transformers.") or name not in (
            "Transformer",
            "Pooling",
            "Normalize",
            "Dropout",
        ):
            raise Refusal(
                "model.module",
                f"modules.json: entry {index} is {shown(kind)}, expected Transformer, Pooling or "
                "Normalize of sentence_transformers",
            )
        if name != "Dropout":
            kinds.append(name)
            paths.append(fields.text("path", ""))
    if kinds not in (
        ["Transformer"],
        ["Transformer", "Pooling"],
        ["Transformer", "Pooling", "Normalize"],
    ):
        raise Refusal(
            "model.module",
            f"modules.json: the modules are {shown(kinds)}, expected Transformer, Pooling and "
            "at most one Normalize, in this order",
        )
    return _Modules(
        transformer=paths[0],
        pooling=paths[1] if len(kinds) > 1 else None,
        normalize="Normalize" in kinds,
    )


def _task(config: Fields) -> Task:
    architectures = config.values.get("architectures")
    if (
        not isinstance(architectures, list)
        or len(architectures) != 1
        or architectures[0] not in ARCHITECTURES
    ):
        raise Refusal(
            "model.architecture",
            f"{config.file}: field architectures is {shown(architectures)}, expected one of "
            f"{', '.join(ARCHITECTURES)}",
        )
    kind = config.text("model_type", "bert")
    if kind != "bert":
        raise Refusal(
            "model.architecture", f'{config.file}: field model_type is "{kind}", expected "bert"'
        )
    for name in ("is_decoder", "add_cross_attention"):
        if config.flag(name, False):
            raise Refusal(
                "model.architecture", f"{config.file}: field {name} is true, expected false"
            )
    return ARCHITECTURES[architectures[0]]


def _shape(config: Fields) -> Shape:
    position = config.text("position_embedding_type", "absolute")
    if position != "absolute":
        raise Refusal(
            "model.position_type",
            f'{config.file}: field position_embedding_type is "{position}", expected "absolute"',
        )
    # The defaults of transformers, for files that omit a field.
    hidden_activation = config.text("hidden_act", "gelu")
    if hidden_activation not in HIDDEN_ACTIVATIONS:
        raise Refusal(
            "model.hidden_activation",
            f'{config.file}: field hidden_act is "{hidden_activation}", expected one of '
            f"{', '.join(HIDDEN_ACTIVATIONS)}",
        )
    shape = Shape(
        layers=config.integer("num_hidden_layers", 12),
        heads=config.integer("num_attention_heads", 12),
        hidden_size=config.integer("hidden_size", 768),
        intermediate_size=config.integer("intermediate_size", 3072),
        vocabulary_size=config.integer("vocab_size", 30522),
        positions=config.integer("max_position_embeddings", 512),
        token_types=config.integer("type_vocab_size", 2),
        layer_norm_epsilon=config.number("layer_norm_eps", 1e-12),
        hidden_activation=HIDDEN_ACTIVATIONS[hidden_activation],
    )
    if shape.hidden_size % shape.heads:
        raise config.invalid(
            "num_attention_heads",
            shape.heads,
            f"a divisor of hidden_size {shape.hidden_size}",
        )
    return shape


def _check_transformer_task(sentence: Fields, task: Task) -> None:
    expected = {"embedding": "feature-extraction", "cross-encoder": "sequence-classification"}[task]
    found = sentence.text("transformer_task", expected)
    if found != expected:
        raise Refusal(
            "model.architecture",
            f'{sentence.file}: field transformer_task is "{found}", expected "{expected}"',
        )


def _pooling(config: Fields, shape: Shape) -> str:
    width = (
        "embedding_dimension" if config.has("embedding_dimension") else "word_embedding_dimension"
    )
    if config.integer(width, shape.hidden_size) != shape.hidden_size:
        raise config.invalid(
            width, config.values[width], f"hidden_size {shape.hidden_size} of config.json"
        )
    if config.has("pooling_mode"):
        mode = config.values["pooling_mode"]
        modes = mode if isinstance(mode, list) else [mode]
        if len(modes) != 1 or modes[0] not in _POOLING_NAMES:
            raise Refusal(
                "model.pooling",
                f"{config.file}: field pooling_mode is {shown(mode)}, expected one of "
                f"{', '.join(_POOLING_NAMES)}",
            )
        return _POOLING_NAMES[modes[0]]
    active = [name for name in _POOLING_FLAGS if config.flag(name, False)]
    if not active:
        return "mean"
    pooling = _POOLING_FLAGS[active[0]]
    if len(active) > 1 or pooling is None:
        raise Refusal(
            "model.pooling",
            f"{config.file}: pooling is {' and '.join(active)}, expected exactly one of "
            f"{', '.join(name for name, known in _POOLING_FLAGS.items() if known)}",
        )
    return pooling


def _check_prompt_pooling(source: Source, folder: str, prompts: dict[str, str]) -> None:
    config = _required(source, _join(folder, "config.json"))
    if not config.flag("include_prompt", True) and any(prompts.values()):
        raise Refusal(
            "model.pooling",
            f"{config.file}: field include_prompt is false and the model has prompts; pooling "
            "that excludes the prompt is not supported",
        )


def _prompts(general: Fields) -> dict[str, str]:
    prompts = general.section("prompts")
    read = {name: prompts.text(name, "") for name in sorted(prompts.values)}
    default = general.text("default_prompt_name", "")
    if read.get(default):
        raise Refusal(
            "model.prompt",
            f'{general.file}: field default_prompt_name is "{default}", expected null: a bundle '
            "has no default prompt",
        )
    return read


def _labels(config: Fields) -> int:
    if config.has("num_labels"):
        return config.integer("num_labels")
    if config.has("id2label"):
        return max(1, len(config.section("id2label").values))
    return 2


def _activation(config: Fields, general: Fields, labels: int, notes: list[str]) -> str:
    default = "sigmoid" if labels == 1 else "identity"
    nested = config.section("sentence_transformers")
    for fields, name in (
        (general, "activation_fn"),
        (nested, "activation_fn"),
        (config, "sbert_ce_default_activation_function"),
    ):
        if not fields.has(name):
            continue
        path = fields.text(name)
        if path in _ACTIVATIONS:
            return _ACTIVATIONS[path]
        if path.startswith("torch."):
            raise Refusal(
                "model.activation",
                f'{fields.file}: field {name} is "{path}", expected Sigmoid or Identity of '
                "torch.nn",
            )
        # sentence-transformers runs other code only with trust_remote_code.
        notes.append(
            f"{fields.file}: {name} {shown(path)} is not in torch and is ignored, like in "
            f"sentence-transformers; using {default}"
        )
        return default
    return default


def _max_tokens(
    sentence: Fields, tokenizer_config: Fields, config: Fields, shape: Shape, notes: list[str]
) -> int:
    if sentence.has("max_seq_length"):
        limit = sentence.integer("max_seq_length")
        file, name = sentence.file, "max_seq_length"
        # sentence-transformers accepts a larger value and fails at the first long text.
        if limit > shape.positions:
            raise Refusal(
                "model.max_tokens",
                f"{file}: field {name} is {limit}, more than max_position_embeddings "
                f"{shape.positions} of {config.file}",
            )
    else:
        # "No limit" is written as 1e30.
        given = tokenizer_config.number("model_max_length", float(shape.positions))
        limit = int(min(given, shape.positions))
        file, name = tokenizer_config.file, "model_max_length"
        notes.append(
            f"max_seq_length is missing in sentence_bert_config.json: using {limit} tokens, the "
            "smaller of model_max_length and max_position_embeddings"
        )
    if limit < _SHORTEST_TEXT_TOKENS:
        raise Refusal(
            "model.max_tokens",
            f"{file}: field {name} is {limit}, expected at least {_SHORTEST_TEXT_TOKENS}",
        )
    return limit


def _licence(source: Source) -> str:
    """The SPDX identifier in the front matter of the model card, or `unknown`."""
    path = source.path("README.md")
    if path is None:
        return "unknown"
    text = path.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    field = re.search(r"^license:\s*[\"']?([\w.-]+)", front[1], re.MULTILINE) if front else None
    return _LICENCES.get(field[1].lower(), "unknown") if field else "unknown"


def _weights(source: Source, inside: str) -> Path:
    name = _join(inside, WEIGHTS_FILE)
    path = source.path(name)
    if path is not None:
        return path
    for other in (f"{WEIGHTS_FILE}.index.json", "pytorch_model.bin", "tf_model.h5"):
        if source.has(_join(inside, other)):
            raise Refusal(
                "model.weights_format",
                f"{_join(inside, other)}: this weight format is not supported, expected "
                f"{WEIGHTS_FILE}; save the model with safetensors in one file",
            )
    raise Refusal("source.file_missing", f"{name} is missing")


def _required(source: Source, name: str) -> Fields:
    path = source.path(name)
    if path is None:
        raise Refusal("source.file_missing", f"{name} is missing")
    return read_fields(name, path)


def _optional(source: Source, name: str) -> Fields:
    path = source.path(name)
    return Fields(name, {}) if path is None else read_fields(name, path)


def _join(folder: str, name: str) -> str:
    return str(PurePosixPath(folder) / name)
