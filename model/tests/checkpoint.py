"""Tiny sentence-transformers folders with seeded random weights, as the tests need them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Tensors = dict[str, NDArray[np.float32]]

# The sizes of the model in `data/tiny*.bin`.
TINY: dict[str, Any] = {"layers": 1, "hidden": 4, "wide": 6, "vocabulary": 10, "seed": 3}

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass
class Checkpoint:
    """A folder to be; a test changes what it is about and then writes it."""

    layers: int = 2
    heads: int = 2
    hidden: int = 8
    wide: int = 16
    vocabulary: int = 40
    positions: int = 24
    token_types: int = 2
    labels: int | None = None
    seed: int = 0
    epsilon: float = 1e-12
    hidden_act: str = "gelu"
    pooling: str = "pooling_mode_mean_tokens"
    normalize: bool = True
    files: dict[str, Any] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors = self._random_tensors()
        self.files = {
            "config.json": {
                "architectures": [
                    "BertModel" if self.labels is None else "BertForSequenceClassification"
                ],
                "model_type": "bert",
                "hidden_act": self.hidden_act,
                "hidden_size": self.hidden,
                "intermediate_size": self.wide,
                "layer_norm_eps": self.epsilon,
                "max_position_embeddings": self.positions,
                "num_attention_heads": self.heads,
                "num_hidden_layers": self.layers,
                "position_embedding_type": "absolute",
                "type_vocab_size": self.token_types,
                "vocab_size": self.vocabulary,
            },
            "tokenizer.json": self._tokenizer(),
            "tokenizer_config.json": {"do_lower_case": True, "model_max_length": 20},
        }
        if self.labels is None:
            self.files |= {
                "modules.json": [
                    {"path": path, "type": f"sentence_transformers.models.{kind}"}
                    for path, kind in (
                        ("", "Transformer"),
                        ("1_Pooling", "Pooling"),
                        *([("2_Normalize", "Normalize")] if self.normalize else []),
                    )
                ],
                "1_Pooling/config.json": {
                    "word_embedding_dimension": self.hidden,
                    "pooling_mode_cls_token": False,
                    "pooling_mode_max_tokens": False,
                    "pooling_mode_mean_tokens": False,
                    "pooling_mode_mean_sqrt_len_tokens": False,
                    self.pooling: True,
                },
                "sentence_bert_config.json": {"max_seq_length": 16, "do_lower_case": False},
            }
        else:
            self.files["config.json"]["id2label"] = {
                str(index): f"LABEL_{index}" for index in range(self.labels)
            }

    def write(self, folder: Path) -> Path:
        """Writes the folder and returns it."""
        for name, value in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = value if isinstance(value, str) else json.dumps(value)
            path.write_text(text, encoding="utf-8")
        if self.tensors:
            save_file(self.tensors, folder / "model.safetensors")
        return folder

    def _tokenizer(self) -> dict[str, Any]:
        words = [*SPECIAL_TOKENS, *(f"word{i}" for i in range(self.vocabulary - 5))]
        return {
            "version": "1.0",
            "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 4}, "direction": "Right", "pad_id": 0},
            "added_tokens": [
                {
                    "id": i,
                    "content": token,
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": True,
                }
                for i, token in enumerate(SPECIAL_TOKENS)
            ],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "lowercase": True,
                "strip_accents": None,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: i for i, word in enumerate(words)},
            },
        }

    def _random_tensors(self) -> Tensors:
        random = np.random.default_rng(self.seed)
        hidden, wide = self.hidden, self.wide

        def normal(*shape: int) -> NDArray[np.float32]:
            return (random.standard_normal(shape) * 0.5).astype(np.float32)

        tensors = {
            "embeddings.word_embeddings.weight": normal(self.vocabulary, hidden),
            "embeddings.position_embeddings.weight": normal(self.positions, hidden),
            "embeddings.token_type_embeddings.weight": normal(self.token_types, hidden),
            "embeddings.LayerNorm.weight": 1 + normal(hidden),
            "embeddings.LayerNorm.bias": normal(hidden),
        }
        for index in range(self.layers):
            layer = f"encoder.layer.{index}"
            for name, rows, columns in (
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", wide, hidden),
                ("output.dense", hidden, wide),
            ):
                tensors[f"{layer}.{name}.weight"] = normal(rows, columns)
                tensors[f"{layer}.{name}.bias"] = normal(rows)
            for name in ("attention.output.LayerNorm", "output.LayerNorm"):
                tensors[f"{layer}.{name}.weight"] = 1 + normal(hidden)
                tensors[f"{layer}.{name}.bias"] = normal(hidden)
        tensors["pooler.dense.weight"] = normal(hidden, hidden)
        tensors["pooler.dense.bias"] = normal(hidden)
        if self.labels is not None:
            tensors = {f"bert.{name}": values for name, values in tensors.items()}
            tensors["classifier.weight"] = normal(self.labels, hidden)
            tensors["classifier.bias"] = normal(self.labels)
        return tensors
