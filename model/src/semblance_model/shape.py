"""The sizes of an encoder, from `config.json`."""

from dataclasses import dataclass

from semblance_model.families import FAMILIES, Family
from semblance_model.field import Fields, shown
from semblance_model.refusal import Refusal
from semblance_model.tensors import Checkpoint

# Names of hidden_act that are the same function. The Gelu of BERT is exact (with erf); gelu_new,
# gelu_pytorch_tanh, gelu_fast and gelu_accurate are its approximation by tanh.
HIDDEN_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "relu": "relu",
}

# The defaults of transformers, for files that omit a field; a family may have others.
_DEFAULTS: dict[str, int | float] = {
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "embedding_size": 128,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 1,
    "relative_attention_num_buckets": 32,
}

# MPNet in transformers computes with this number and ignores the field.
_RELATIVE_BUCKETS = 32


@dataclass(frozen=True)
class Shape:
    """The sizes of an encoder.

    `first_position` is the row of the position table for the first token of a text. `token_types`
    is the number of rows of the table of token types, 0 if the checkpoint has none.
    `embedding_size` is the width of the embedding table. `relative_buckets` is 0 without a bias by
    distance.
    """

    family: Family
    layers: int
    heads: int
    hidden_size: int
    embedding_size: int
    intermediate_size: int
    vocabulary_size: int
    first_position: int
    position_rows: int
    token_types: int
    reads_token_types: bool
    relative_buckets: int
    layer_norm_epsilon: float
    hidden_activation: str

    @property
    def positions(self) -> int:
        """The most tokens of a text."""
        return self.position_rows - self.first_position

    @property
    def pad_token_id(self) -> int | None:
        """The token that positions do not count: transformers counts them from the ids."""
        return self.first_position - 1 if self.first_position else None


@dataclass(frozen=True)
class Encoder:
    """An encoder whose graph the builder writes; `labels` are those of a classifier's head."""

    shape: Shape
    checkpoint: Checkpoint
    labels: int | None


def read_family(config: Fields) -> Family:
    """The family of a config's `model_type`.

    Raises `Refusal` for another type, a class that is not of the family, and a decoder.
    """
    kind = config.text("model_type", "bert")
    if kind not in FAMILIES:
        raise Refusal(
            "model.architecture",
            f'{config.file}: field model_type is "{kind}", expected one of '
            f"{', '.join(FAMILIES)}; a model of another type is built from its ONNX export, "
            "onnx/model.onnx",
        )
    family = FAMILIES[kind]
    for name in _class_names(config):
        # Custom code often keeps the model_type of the family that it changes.
        if not name.startswith(family.classes):
            raise Refusal(
                "model.architecture",
                f"{config.file}: field architectures is {shown(name)}, expected a class of "
                f'{family.classes} for the model_type "{kind}"',
            )
    for name in ("is_decoder", "add_cross_attention"):
        if config.flag(name, False):
            raise Refusal(
                "model.architecture", f"{config.file}: field {name} is true, expected false"
            )
    return family


def is_classifier(config: Fields) -> bool:
    """Whether the checkpoint was saved with the head of a sequence classifier."""
    return any(name.endswith("ForSequenceClassification") for name in _class_names(config))


def _class_names(config: Fields) -> list[str]:
    names = config.values.get("architectures")
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise config.invalid("architectures", names, "a list of names")
    return names


def read_shape(config: Fields, family: Family) -> Shape:
    """The sizes of an encoder of `family`.

    Raises `Refusal` for positions or an activation that the graph does not have.
    """

    def named(field: str) -> str:
        return family.fields.get(field, field)

    def integer(field: str, minimum: int = 1) -> int:
        default = family.defaults.get(field, _DEFAULTS[field])
        return config.integer(named(field), int(default), minimum)

    position = config.text("position_embedding_type", "absolute")
    if position != "absolute":
        raise Refusal(
            "model.position_type",
            f'{config.file}: field position_embedding_type is "{position}", expected "absolute"',
        )
    activation = config.text(named("hidden_act"), "gelu")
    if activation not in HIDDEN_ACTIVATIONS:
        raise Refusal(
            "model.hidden_activation",
            f'{config.file}: field {named("hidden_act")} is "{activation}", expected one of '
            f"{', '.join(HIDDEN_ACTIVATIONS)}",
        )
    first = family.first_position
    if first is None:
        first = integer("pad_token_id", minimum=0) + 1
    hidden = integer("hidden_size")
    epsilon = family.fixed.get("layer_norm_eps")
    if epsilon is None:
        epsilon = config.number("layer_norm_eps", float(_DEFAULTS["layer_norm_eps"]))
    shape = Shape(
        family=family,
        layers=integer("num_hidden_layers"),
        heads=integer("num_attention_heads"),
        hidden_size=hidden,
        embedding_size=integer("embedding_size") if family.projects_embeddings else hidden,
        intermediate_size=integer("intermediate_size"),
        vocabulary_size=integer("vocab_size"),
        first_position=first,
        position_rows=integer("max_position_embeddings"),
        token_types=integer("type_vocab_size") if family.has_token_types else 0,
        reads_token_types=family.reads_token_types,
        relative_buckets=(
            integer("relative_attention_num_buckets") if family.has_relative_bias else 0
        ),
        layer_norm_epsilon=epsilon,
        hidden_activation=HIDDEN_ACTIVATIONS[activation],
    )
    if shape.hidden_size % shape.heads:
        raise config.invalid(
            named("num_attention_heads"),
            shape.heads,
            f"a divisor of {named('hidden_size')} {shape.hidden_size}",
        )
    if shape.positions < 1:
        raise config.invalid(
            "max_position_embeddings",
            shape.position_rows,
            f"more than {first}: positions of a text start at row {first}",
        )
    if shape.relative_buckets not in (0, _RELATIVE_BUCKETS):
        raise config.invalid(
            "relative_attention_num_buckets", shape.relative_buckets, str(_RELATIVE_BUCKETS)
        )
    return shape
