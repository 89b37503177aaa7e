"""Reads the description of a model from a sentence-transformers folder into one typed value.

A model that a bundle cannot express is rejected here, before anything is written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from semblance_model.export import EXPORT_FILES, Export, find_export, read_export
from semblance_model.families import FAMILIES
from semblance_model.field import Fields, shown
from semblance_model.keys import check_config, check_keys
from semblance_model.modules import (
    DenseModule,
    join,
    optional,
    read_dense,
    read_modules,
    read_pooling,
    required,
)
from semblance_model.refusal import Refusal
from semblance_model.shape import Encoder, is_classifier, read_family, read_shape
from semblance_model.source import Source
from semblance_model.tensors import (
    PICKLE_FILE,
    WEIGHTS_FILE,
    WEIGHTS_INDEX,
    find_checkpoint,
)
from semblance_model.tokenizer import BundleTokenizer, bundle_tokenizer
from semblance_model.tokenizer_file import read_tokenizer

Task = Literal["embedding", "cross-encoder"]

# Values of similarity_fn_name, and of `similarity` in a manifest.
_SIMILARITY_FUNCTIONS = ("cosine", "dot", "euclidean", "manhattan")

# sentence-transformers gives every model these prompts, empty if the model does not have them.
_OWN_PROMPTS = ("document", "query")

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

_OTHER_WEIGHTS = ("tf_model.h5", "flax_model.msgpack", "rust_model.ot")

# [CLS], one token of text, [SEP].
_SHORTEST_TEXT_TOKENS = 3

# A larger model_max_length means no limit.
_LONGEST_TEXT_TOKENS = 1_000_000


@dataclass(frozen=True)
class Description:
    """A model that the builder accepts.

    Several poolings are concatenated; the layers of `dense` follow. `pooling`, `normalize` and
    `similarity` are None for a cross-encoder, `labels` and `activation` for an embedding model.
    `label_names` is None also if the names of the labels are the usual ones.
    `notes` are messages for the user: what was assumed and why.
    """

    task: Task
    model_type: str
    graph: Encoder | Export
    max_tokens: int
    pooling: Sequence[str] | None
    dense: Sequence[DenseModule]
    normalize: bool | None
    similarity: str | None
    prompts: dict[str, str]
    default_prompt: str | None
    labels: int | None
    label_names: tuple[str, ...] | None
    activation: str | None
    licence: str
    tokenizer: BundleTokenizer
    pads_left: bool
    notes: tuple[str, ...]

    @property
    def hidden_size(self) -> int:
        """Number of features of a token embedding."""
        graph = self.graph
        return graph.hidden_size if isinstance(graph, Export) else graph.shape.hidden_size

    @property
    def embedding_size(self) -> int:
        """Number of features of a row of the embedding table."""
        graph = self.graph
        return graph.table.shape[1] if isinstance(graph, Export) else graph.shape.embedding_size

    @property
    def layers(self) -> int | None:
        """Number of layers; None for an export."""
        graph = self.graph
        return None if isinstance(graph, Export) else graph.shape.layers

    @property
    def vocabulary_size(self) -> int:
        """Number of rows of the embedding table."""
        graph = self.graph
        return len(graph.table) if isinstance(graph, Export) else graph.shape.vocabulary_size


@dataclass(frozen=True)
class Choices:
    """What the user decides where a source leaves a choice.

    `from_onnx` prefers an ONNX export to a checkpoint, `onnx_output` names the export's output.
    `max_tokens` replaces the number of tokens of the source.
    """

    from_onnx: bool = False
    onnx_output: str | None = None
    max_tokens: int | None = None


def describe(source: Source, choices: Choices | None = None) -> Description:
    """The description of the model in `source`.

    Raises `Refusal` for a model that a bundle cannot express.
    """
    choices = choices or Choices()
    notes: list[str] = []
    modules = read_modules(source)
    inside = modules.transformer if modules is not None else ""
    sentence = optional(source, join(inside, "sentence_bert_config.json"))
    general = optional(source, "config_sentence_transformers.json")
    tokenizer_config = optional(source, join(inside, "tokenizer_config.json"))
    graph, positions, config = _graph(source, inside, choices, tokenizer_config)
    if isinstance(graph, Export):
        kind = f"{config.text('model_type', 'a model')}, from {graph.file}"
        is_cross_encoder, outputs = graph.is_logits, graph.hidden_size
        width, words = graph.hidden_size, len(graph.table)
    else:
        kind = config.text("model_type", "bert")
        is_cross_encoder, outputs = graph.labels is not None, graph.labels or 0
        width, words = graph.shape.hidden_size, graph.shape.vocabulary_size
    if modules is None:
        check_keys(source, inside, None)
    else:
        check_keys(source, inside, modules.pooling, modules.dense)
    if modules is None:
        _check_chat_template(source, inside, tokenizer_config)
    task: Task = "cross-encoder" if is_cross_encoder else "embedding"
    _check_transformer_task(sentence, task)
    tokenizer = bundle_tokenizer(
        read_tokenizer(source, inside, tokenizer_config),
        tokenizer_config,
        sentence.flag("do_lower_case", False),
        words,
        can_pad_left=isinstance(graph, Export) or graph.shape.family.first_position != 0,
    )
    pooling: list[str] | None = None
    dense: list[DenseModule] = []
    normalize: bool | None = None
    similarity: str | None = None
    labels: int | None = None
    activation: str | None = None
    prompts, default_prompt = _prompts(general, task)
    if task == "embedding":
        similarity = _similarity(general)
        normalize = modules.normalize if modules is not None else False
        if modules is not None and modules.pooling is not None:
            pooling = read_pooling(source, modules.pooling, width, any(prompts.values()))
            width *= len(pooling)
            for folder in modules.dense:
                dense.append(read_dense(source, folder, width, notes))
                width = dense[-1].outputs
        else:
            pooling = ["mean"]
            notes.append(
                "modules.json is missing: using mean pooling without normalization, like "
                "sentence-transformers"
            )
    else:
        if modules is not None and (modules.pooling is not None or modules.normalize):
            raise Refusal(
                "model.module",
                "modules.json: a cross-encoder, a model with the head of a sequence classifier, "
                "must not have Pooling or Normalize",
            )
        labels = outputs
        activation = _activation(config, general, labels, notes)
    return Description(
        task=task,
        model_type=kind,
        graph=graph,
        max_tokens=_max_tokens(choices, sentence, tokenizer_config, positions, notes),
        pooling=pooling,
        dense=dense,
        normalize=normalize,
        similarity=similarity,
        prompts=prompts,
        default_prompt=default_prompt,
        labels=labels,
        label_names=None if labels is None else _label_names(config, labels, notes),
        activation=activation,
        licence=_licence(source),
        tokenizer=tokenizer,
        pads_left=tokenizer_config.text("padding_side", "right") == "left",
        notes=tuple(notes),
    )


def _graph(
    source: Source, inside: str, choices: Choices, tokenizer_config: Fields
) -> tuple[Encoder | Export, int | None, Fields]:
    """The encoder or export of a folder, the most tokens that it can read, and `config.json`."""

    def path_of(name: str) -> Path | None:
        return source.path(join(inside, name))

    config = optional(source, join(inside, "config.json"))
    is_known = config.text("model_type", "bert") in FAMILIES
    checkpoint = find_checkpoint(path_of) if is_known and not choices.from_onnx else None
    export = find_export(path_of) if checkpoint is None else None
    if export is not None:
        read = read_export(*export, path_of, choices.onnx_output)
        return read, _export_positions(config, read), config
    if choices.from_onnx or choices.onnx_output is not None:
        wanted = " or ".join(EXPORT_FILES)
        raise Refusal("source.file_missing", f"{wanted} is missing: there is no ONNX export")
    config = required(source, join(inside, "config.json"))
    family = read_family(config)
    shape = read_shape(config, family)
    if not _tokenizes_types(tokenizer_config):
        shape = replace(shape, reads_token_types=False)
    labels = _labels(config) if is_classifier(config) else None
    check_config(source, inside)
    if checkpoint is None:
        raise _no_checkpoint(source, inside)
    return Encoder(shape, checkpoint, labels), shape.positions, config


def _export_positions(config: Fields, export: Export) -> int | None:
    family = FAMILIES.get(config.text("model_type", ""))
    if config.has("max_position_embeddings"):
        if family is not None:
            return read_shape(config, family).positions
        return config.integer("max_position_embeddings")
    return export.position_rows


def _check_chat_template(source: Source, inside: str, tokenizer_config: Fields) -> None:
    """Refuses a chat template, into which sentence-transformers puts texts without modules.json."""
    file = join(inside, "chat_template.jinja")
    if tokenizer_config.has("chat_template"):
        file = f"{tokenizer_config.file}: field chat_template"
    elif not source.has(file):
        return
    raise Refusal(
        "model.unsupported_field",
        f"{file} is there and modules.json is missing: sentence-transformers would put texts into "
        "the template; add modules.json, or remove the template if the model does not use it",
    )


def _tokenizes_types(tokenizer_config: Fields) -> bool:
    """Whether transformers passes token types to the model; without them, all are 0."""
    names = tokenizer_config.values.get("model_input_names")
    return names is None or (isinstance(names, list) and "token_type_ids" in names)


def _check_transformer_task(sentence: Fields, task: Task) -> None:
    expected = {"embedding": "feature-extraction", "cross-encoder": "sequence-classification"}[task]
    found = sentence.text("transformer_task", expected)
    if found != expected:
        raise Refusal(
            "model.architecture",
            f'{sentence.file}: field transformer_task is "{found}", expected "{expected}"',
        )


def _similarity(general: Fields) -> str:
    name = general.text("similarity_fn_name", "cosine")
    if name not in _SIMILARITY_FUNCTIONS:
        raise Refusal(
            "model.similarity",
            f"{general.file}: field similarity_fn_name is {shown(name)}, expected one of "
            f"{', '.join(_SIMILARITY_FUNCTIONS)}",
        )
    return name


def _prompts(general: Fields, task: Task) -> tuple[dict[str, str], str | None]:
    """The prompts by name, and the name of the default prompt if it is not empty."""
    prompts = general.section("prompts")
    read = {name: prompts.text(name, "") for name in sorted(prompts.values)}
    if not general.has("default_prompt_name"):
        return read, None
    default = general.text("default_prompt_name")
    if default not in read and default not in _OWN_PROMPTS:
        raise Refusal(
            "model.prompt",
            f"{general.file}: field default_prompt_name is {shown(default)}, expected null or one "
            f"of the prompts: {', '.join(sorted({*read, *_OWN_PROMPTS}))}",
        )
    if not read.get(default):
        return read, None
    if task == "cross-encoder":
        raise Refusal(
            "model.prompt",
            f"{general.file}: field default_prompt_name is {shown(default)}, expected null: a "
            "cross-encoder has no prompts",
        )
    return read, default


def _labels(config: Fields) -> int:
    if config.has("num_labels"):
        return config.integer("num_labels")
    if config.has("id2label"):
        return max(1, len(config.section("id2label").values))
    return 2


def _label_names(config: Fields, labels: int, notes: list[str]) -> tuple[str, ...] | None:
    """The names of the labels by index, or None if they are the default ones of transformers."""
    if not config.has("id2label"):
        return None
    names = config.section("id2label")
    usual = {str(label): f"LABEL_{label}" for label in range(labels)}
    if set(names.values) != set(usual):
        notes.append(
            f"{config.file}: field id2label does not name the labels from 0 to {labels - 1}: using "
            "LABEL_0 and so on, like transformers"
        )
        return None
    read = {label: names.text(label) for label in usual}
    return None if read == usual else tuple(read.values())


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
    choices: Choices,
    sentence: Fields,
    tokenizer_config: Fields,
    positions: int | None,
    notes: list[str],
) -> int:
    if choices.max_tokens is not None:
        limit, where = choices.max_tokens, "--max-tokens"
    elif sentence.has("max_seq_length"):
        limit = sentence.integer("max_seq_length")
        where = f"{sentence.file}: field max_seq_length"
    else:
        # "No limit" is written as 1e30.
        given = tokenizer_config.number("model_max_length", 1e30)
        if positions is None and given > _LONGEST_TEXT_TOKENS:
            raise Refusal(
                "model.max_tokens",
                f"{sentence.file} has no max_seq_length and {tokenizer_config.file} no "
                "model_max_length: pass --max-tokens",
            )
        limit = int(min(given, given if positions is None else positions))
        where = f"{tokenizer_config.file}: field model_max_length"
        notes.append(
            f"max_seq_length is missing in sentence_bert_config.json: using {limit} tokens, the "
            "smaller of model_max_length and the positions of the model"
        )
    # sentence-transformers accepts a larger value and fails at the first long text.
    if positions is not None and limit > positions:
        raise Refusal(
            "model.max_tokens",
            f"{where} is {limit}, more than the {positions} positions of the model",
        )
    if limit < _SHORTEST_TEXT_TOKENS:
        raise Refusal(
            "model.max_tokens", f"{where} is {limit}, expected at least {_SHORTEST_TEXT_TOKENS}"
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


def _no_checkpoint(source: Source, inside: str) -> Refusal:
    for other in _OTHER_WEIGHTS:
        if source.has(join(inside, other)):
            return Refusal(
                "model.weights_format",
                f"{join(inside, other)}: this weight format is not supported, expected "
                f"{WEIGHTS_FILE} or {PICKLE_FILE}; save the model with safetensors",
            )
    return Refusal(
        "source.file_missing",
        f"{join(inside, WEIGHTS_FILE)} is missing, and so are {WEIGHTS_INDEX}, {PICKLE_FILE} and "
        f"an ONNX export, {EXPORT_FILES[0]}",
    )
