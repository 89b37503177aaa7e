"""The families of encoders: what each names its tensors and fields, and how it differs from BERT.

A family is the `model_type` of `config.json`. The graph and the other modules use the names of
BERT; a family maps these to its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Head:
    """The layers of a sequence classifier: `output(activation(dense(first token)))`."""

    dense: str
    activation: str
    output: str


@dataclass(frozen=True)
class Family:
    """One `model_type`.

    `classes` starts the name of each class of transformers for the family, `base` is the name of
    the encoder in a model with a head. `layer` is the path of a layer, with its number as `{}`.
    `names` and `fields` map names of BERT's tensors and of `config.json` to the family's own;
    `defaults` are those of transformers that differ from BERT's.
    """

    classes: str
    base: str
    head: Head
    layer: str = "encoder.layer.{}"
    names: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, int | float] = field(default_factory=dict)
    # Whether the model reads token types, and whether a checkpoint has a table of them.
    reads_token_types: bool = True
    has_token_types: bool = True
    # The first row of the position table that a text uses: 0, this number, or the row after the
    # padding id, in which case the rows before are unused.
    first_position: int | None = 0
    # Whether `embedding_size` may differ from `hidden_size`, with a layer between the two.
    projects_embeddings: bool = False
    # Whether attention adds a bias by distance, as in T5 and MPNet.
    has_relative_bias: bool = False
    # Fields that cannot be configured: their value is the family's, not the file's.
    fixed: Mapping[str, float] = field(default_factory=dict)

    def stored(self, name: str) -> str:
        """The family's name of a tensor that BERT calls `name`."""
        path, rest = "", name
        if name.startswith("encoder.layer."):
            number, rest = name.removeprefix("encoder.layer.").split(".", 1)
            path = self.layer.format(number) + "."
        module, _, kind = rest.rpartition(".")
        return f"{path}{self.names.get(module, module)}.{kind}"


_POOLER = Head("pooler.dense", "tanh", "classifier")
_DENSE = Head("classifier.dense", "tanh", "classifier.out_proj")


def _roberta(classes: str, **defaults: int | float) -> Family:
    return Family(
        classes=classes,
        base="roberta",
        head=_DENSE,
        defaults=defaults,
        reads_token_types=False,
        first_position=None,
    )


FAMILIES: Mapping[str, Family] = {
    "bert": Family(classes="Bert", base="bert", head=_POOLER),
    "roberta": _roberta("Roberta", vocab_size=50265),
    "xlm-roberta": _roberta("XLMRoberta"),
    "camembert": _roberta("Camembert"),
    "distilbert": Family(
        classes="DistilBert",
        base="distilbert",
        head=Head("pre_classifier", "relu", "classifier"),
        layer="transformer.layer.{}",
        names={
            "attention.self.query": "attention.q_lin",
            "attention.self.key": "attention.k_lin",
            "attention.self.value": "attention.v_lin",
            "attention.output.dense": "attention.out_lin",
            "attention.output.LayerNorm": "sa_layer_norm",
            "intermediate.dense": "ffn.lin1",
            "output.dense": "ffn.lin2",
            "output.LayerNorm": "output_layer_norm",
        },
        fields={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
        },
        defaults={"num_hidden_layers": 6},
        reads_token_types=False,
        has_token_types=False,
        fixed={"layer_norm_eps": 1e-12},
    ),
    "electra": Family(
        classes="Electra",
        base="electra",
        head=Head("classifier.dense", "gelu", "classifier.out_proj"),
        defaults={"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
        projects_embeddings=True,
    ),
    "mpnet": Family(
        classes="MPNet",
        base="mpnet",
        head=_DENSE,
        names={
            "attention.self.query": "attention.attn.q",
            "attention.self.key": "attention.attn.k",
            "attention.self.value": "attention.attn.v",
            "attention.output.dense": "attention.attn.o",
            "attention.output.LayerNorm": "attention.LayerNorm",
        },
        defaults={"vocab_size": 30527},
        reads_token_types=False,
        has_token_types=False,
        first_position=2,
        has_relative_bias=True,
    ),
}
