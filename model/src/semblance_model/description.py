"""Reads the description of a model from a sentence-transformers folder into one typed value.

A model that a bundle cannot express is rejected here, before anything is written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from semblance_model.field import Fields, shown
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
from semblance_model.shape import Shape, is_classifier, read_family, read_shape
from semblance_model.source import Source
from semblance_model.tensors import (
    PICKLE_FILE,
    WEIGHTS_FILE,
    WEIGHTS_INDEX,
    Checkpoint,
    find_checkpoint,
)
from semblance_model.tokenizer import BundleTokenizer, bundle_tokenizer

Task = Literal["embedding", "cross-encoder"]

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


@dataclass(frozen=True)
class Description:
    """A model that the builder accepts.

    Several poolings are concatenated; the layers of `dense` follow. `pooling` and `normalize` are
    None for a cross-encoder, `labels` and `activation` for an embedding model. `notes` are messages
    for the user: what was assumed and why.
    """

    task: Task
    model_type: str
    shape: Shape
    max_tokens: int
    pooling: Sequence[str] | None
    dense: Sequence[DenseModule]
    normalize: bool | None
    prompts: dict[str, str]
    labels: int | None
    activation: str | None
    licence: str
    tokenizer: BundleTokenizer
    checkpoint: Checkpoint
    notes: tuple[str, ...]


def describe(source: Source) -> Description:
    """The description of the model in `source`.

    Raises `Refusal` for a model that a bundle cannot express.
    """
    notes: list[str] = []
    modules = read_modules(source)
    inside = modules.transformer if modules is not None else ""
    config = required(source, join(inside, "config.json"))
    kind, family = read_family(config)
    task: Task = "cross-encoder" if is_classifier(config) else "embedding"
    shape = read_shape(config, family)
    sentence = optional(source, join(inside, "sentence_bert_config.json"))
    general = optional(source, "config_sentence_transformers.json")
    tokenizer_config = optional(source, join(inside, "tokenizer_config.json"))
    _check_transformer_task(sentence, task)
    if not _tokenizes_types(tokenizer_config):
        shape = replace(shape, reads_token_types=False)
    tokenizer = bundle_tokenizer(
        required(source, join(inside, "tokenizer.json")),
        tokenizer_config,
        sentence.flag("do_lower_case", False),
        shape.vocabulary_size,
    )
    pooling: list[str] | None = None
    dense: list[DenseModule] = []
    normalize: bool | None = None
    labels: int | None = None
    activation: str | None = None
    prompts = _prompts(general)
    if task == "embedding":
        normalize = modules.normalize if modules is not None else False
        if modules is not None and modules.pooling is not None:
            pooling = read_pooling(
                source, modules.pooling, shape.hidden_size, any(prompts.values())
            )
            width = len(pooling) * shape.hidden_size
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
                f"modules.json: a cross-encoder ({family.classes}ForSequenceClassification) must "
                "not have Pooling or Normalize",
            )
        labels = _labels(config)
        activation = _activation(config, general, labels, notes)
    return Description(
        task=task,
        model_type=kind,
        shape=shape,
        max_tokens=_max_tokens(sentence, tokenizer_config, config, shape, notes),
        pooling=pooling,
        dense=dense,
        normalize=normalize,
        prompts=prompts,
        labels=labels,
        activation=activation,
        licence=_licence(source),
        tokenizer=tokenizer,
        checkpoint=_checkpoint(source, inside),
        notes=tuple(notes),
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
                f"{file}: field {name} is {limit}, more than the {shape.positions} positions that "
                f"max_position_embeddings {shape.position_rows} of {config.file} leaves for a text",
            )
    else:
        # "No limit" is written as 1e30.
        given = tokenizer_config.number("model_max_length", float(shape.positions))
        limit = int(min(given, shape.positions))
        file, name = tokenizer_config.file, "model_max_length"
        notes.append(
            f"max_seq_length is missing in sentence_bert_config.json: using {limit} tokens, the "
            "smaller of model_max_length and the positions of the model"
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


def _checkpoint(source: Source, inside: str) -> Checkpoint:
    checkpoint = find_checkpoint(lambda name: source.path(join(inside, name)))
    if checkpoint is not None:
        return checkpoint
    for other in _OTHER_WEIGHTS:
        if source.has(join(inside, other)):
            raise Refusal(
                "model.weights_format",
                f"{join(inside, other)}: this weight format is not supported, expected "
                f"{WEIGHTS_FILE} or {PICKLE_FILE}; save the model with safetensors",
            )
    raise Refusal(
        "source.file_missing",
        f"{join(inside, WEIGHTS_FILE)} is missing, and so are {WEIGHTS_INDEX} and {PICKLE_FILE}",
    )
