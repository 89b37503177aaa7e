r"""Writes small ONNX exports of models that have no family here, with seeded weights.

Run with the dependency group `golden` installed:

    PYTHONPATH=model/src:model/tests python model/golden/export_tiny.py \
        --output model/tests/data/exports --golden tests/data/golden-families qwen3 nomic

They are exported as optimum does: token ids, mask and token types in, `last_hidden_state` or
`logits` out, batch and tokens of any size. The names after the options select exports; without
names, all are written. For those in `PADDED_EXPORTS`, transformers computes golden vectors, of all
texts in one padded batch.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from families import EXPORT_WORDS, FIRST_EXPORT_WORD, PADDED_EXPORTS

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
    # A decoder with causal attention, grouped heads, rotary positions and gated layers.
    "qwen3": (
        "Qwen3Config",
        "Qwen3Model",
        {"num_key_value_heads": 2, "head_dim": 8, "use_cache": False},
        False,
    ),
    "nomic": ("NomicBertConfig", "NomicBertModel", {"type_vocab_size": 2}, True),
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
    parser.add_argument("--golden", type=Path, required=True)
    parser.add_argument("names", nargs="*", default=list(_MODELS))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for seed, (name, (config, model, fields, has_types)) in enumerate(_MODELS.items()):
        if name not in options.names:
            continue
        torch.manual_seed(seed)
        settings = getattr(transformers, config)(**(_SIZES | fields), attn_implementation="eager")
        made = getattr(transformers, model)(settings).eval()
        names = ["input_ids", "attention_mask", *(["token_type_ids"] if has_types else [])]
        # optimum gives a decoder this input.
        names += ["position_ids"] if name == "qwen3" else []
        export(made, names, options.output / f"{name}.onnx")
        if name in PADDED_EXPORTS:
            entries = ",\n".join(json.dumps(it) for it in golden(made, *PADDED_EXPORTS[name]))
            file = options.golden / f"export-{name}.json"
            file.write_text(f'{{"texts": [\n{entries}\n]}}\n', "ascii")


def golden(model: Any, pooling: str, side: str) -> list[dict[str, object]]:
    """Random words with their embeddings of unit length, computed in one padded batch."""
    random = np.random.default_rng(5)
    texts = [random.integers(0, EXPORT_WORDS, length) for length in (1, 2, 3, 5, 9, 16)]
    longest = max(map(len, texts))
    ids, mask = np.zeros((2, len(texts), longest), np.int64)
    for row, words in enumerate(texts):
        place = slice(longest - len(words), None) if side == "left" else slice(len(words))
        ids[row, place], mask[row, place] = words + FIRST_EXPORT_WORD, 1
    with torch.no_grad():
        output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    entries: list[dict[str, object]] = []
    for words, padded, kept in zip(texts, output[0].double().numpy(), mask, strict=True):
        rows = padded[kept == 1]
        vector = rows[-1] if pooling == "lasttoken" else rows.mean(axis=0)
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        text = " ".join(f"word{word}" for word in words)
        entries.append({"text": text, "embedding": [float(str(value)) for value in unit]})
    return entries


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


def export(model: Any, names: list[str], path: Path) -> None:
    """Writes one export with these inputs."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3) if parameter.ndim > 1 else None
    ids = torch.randint(5, 190, (2, 9))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    values = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": torch.zeros_like(ids),
        "position_ids": torch.arange(9).repeat(2, 1),
    }
    output = "logits" if hasattr(model, "classifier") else "last_hidden_state"
    axes = {0: "batch_size", 1: "sequence_length"}
    torch.onnx.export(
        Positional(model, names),
        tuple(values[name] for name in names),
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
