r"""Writes small ONNX exports of models that have no family here, with seeded weights.

Run with the dependency group `golden` installed:

    python model/golden/export_tiny.py --output model/tests/data/exports

They are exported as optimum does: token ids, mask and token types in, `last_hidden_state` or
`logits` out, batch and tokens of any size.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
import transformers

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 200,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}

# Name: class of the config, class of the model, other fields, whether it reads token types.
_MODELS: dict[str, tuple[str, str, dict[str, Any], bool]] = {
    "bert": ("BertConfig", "BertModel", {}, True),
    "roberta": ("RobertaConfig", "RobertaModel", {"pad_token_id": 1}, False),
    "mpnet": ("MPNetConfig", "MPNetModel", {"pad_token_id": 1}, False),
    "albert": ("AlbertConfig", "AlbertModel", {"embedding_size": 16}, True),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertModel",
        {
            "global_attn_every_n_layers": 2,
            "local_attention": 8,
            "cls_token_id": 2,
            "sep_token_id": 3,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "reference_compile": False,
        },
        False,
    ),
    "deberta": (
        "DebertaV2Config",
        "DebertaV2ForSequenceClassification",
        {
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
            "num_labels": 3,
        },
        False,
    ),
}


def main() -> None:
    """Writes every export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (config, model, fields, has_types)) in enumerate(_MODELS.items()):
        torch.manual_seed(seed)
        settings = getattr(transformers, config)(**(_SIZES | fields), attn_implementation="eager")
        export(getattr(transformers, model)(settings).eval(), has_types, folder / f"{name}.onnx")


class Positional(torch.nn.Module):  # type: ignore[misc]
    """A model whose inputs are given in their order, and whose first output is returned."""

    def __init__(self, model: Any, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The first output."""
        named = dict(zip(self.names, inputs, strict=True))
        output: torch.Tensor = self.model(**named, return_dict=False)[0]
        return output


def export(model: Any, has_types: bool, path: Path) -> None:
    """Writes one export."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3) if parameter.ndim > 1 else None
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if has_types else [])]
    ids = torch.randint(5, 190, (2, 9))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    values = [ids, mask, torch.zeros_like(ids)][: len(names)]
    output = "logits" if hasattr(model, "classifier") else "last_hidden_state"
    axes = {0: "batch_size", 1: "sequence_length"}
    torch.onnx.export(
        Positional(model, names),
        tuple(values),
        str(path),
        input_names=names,
        output_names=[output],
        dynamic_axes=dict.fromkeys(names, axes)
        | {output: {0: "batch_size"} if output == "logits" else axes},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
