r"""Writes the golden scores of a cross-encoder, computed by transformers, and its versions.

Run with the dependency group `golden` (transformers and torch) installed:

    PYTHONPATH=model/src python model/golden/make_cross_golden.py \
        --source folder:build/checkpoints/cross --output tests/data/golden-cross/cross.json

Tokens and logits are those of transformers, scores those of sentence-transformers. Every pair, and
every single text, is scored alone, on one thread, so no logit depends on a neighbor's padding.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import sentence_transformers
import tokenizers
import torch
import transformers

from pairs import Pair, golden_pairs
from semblance_model.source import open_source
from semblance_model.tensors import WEIGHTS_FILE
from texts import golden_texts

# Every fourth golden text is scored alone.
_EVERY = 4


def main() -> None:
    """Loads the model as users of both libraries would, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with open_source(options.source) as source:
        weights = source.path(WEIGHTS_FILE)
        if weights is None:
            raise FileNotFoundError(f"{options.source} has no {WEIGHTS_FILE}")
        model = Model(weights.parent)
        header = {
            "model": source.suggested_name,
            "source": source.identity,
            "revision": source.revision([weights]),
            "max_tokens": model.max_tokens,
            "labels": model.labels,
            "activation": model.activation,
            "versions": {
                "numpy": np.__version__,
                "python": platform.python_version(),
                "safetensors": safetensors.__version__,
                "sentence-transformers": sentence_transformers.__version__,
                "tokenizers": tokenizers.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
            "machine": platform.machine(),
        }
        entries = [model.entry(pair) for pair in golden_pairs()]
        texts = [model.text_entry(text) for text in golden_texts()[::_EVERY]]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("".join(_lines(header, entries, texts)), encoding="ascii")
    print(f"{options.output}: {len(entries)} pairs, {len(texts)} texts", file=sys.stderr)


class Model:
    """One cross-encoder, opened with transformers and with sentence-transformers."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        self._model = transformers.BertForSequenceClassification.from_pretrained(
            str(folder), dtype=torch.float32
        ).eval()
        self._cross_encoder = sentence_transformers.CrossEncoder(str(folder), device="cpu")
        self.max_tokens: int = self._tokenizer.model_max_length
        self.labels: int = self._model.config.num_labels
        self.activation = type(self._cross_encoder.activation_fn).__name__.lower()
        if self._cross_encoder.max_seq_length != self.max_tokens:
            raise ValueError(
                f"sentence-transformers truncates at {self._cross_encoder.max_seq_length} tokens, "
                f"transformers at {self.max_tokens}"
            )

    def entry(self, pair: Pair) -> dict[str, object]:
        """The tokens, logits and scores of a pair."""
        lengths = [len(self._ids(text)) for text in pair]
        encoded = self._tokenizer(
            *pair, truncation="longest_first", max_length=self.max_tokens, return_tensors="pt"
        )
        with torch.no_grad():
            logits = self._model(**encoded).logits[0]
        scores = self._cross_encoder.predict([pair], batch_size=1)
        return {
            "pair": list(pair),
            "tokens": lengths,
            "truncated": sum(lengths) + 3 > self.max_tokens,
            "input_ids": encoded["input_ids"][0].tolist(),
            "token_type_ids": encoded["token_type_ids"][0].tolist(),
            "logits": _floats(logits.numpy()),
            "scores": _floats(np.ravel(scores)),
        }

    def text_entry(self, text: str) -> dict[str, object]:
        """The tokens, logits and scores of a single text."""
        encoded = self._tokenizer(
            text, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        with torch.no_grad():
            logits = self._model(**encoded).logits[0]
            scores = self._cross_encoder.activation_fn(logits)
        return {
            "text": text,
            "truncated": len(self._ids(text)) + 2 > self.max_tokens,
            "input_ids": encoded["input_ids"][0].tolist(),
            "logits": _floats(logits.numpy()),
            "scores": _floats(scores.numpy()),
        }

    def _ids(self, text: str) -> Any:
        return self._tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"]


def _floats(row: Any) -> list[float]:
    """Doubles with the fewest digits that round to the same fp32."""
    return [float(str(value)) for value in row.astype(np.float32)]


def _lines(
    header: dict[str, object],
    entries: Iterable[dict[str, object]],
    texts: Iterable[dict[str, object]],
) -> Iterator[str]:
    """JSON with one pair or text a line, so that a diff names those that changed."""
    yield json.dumps(header, indent=2)[:-2]
    yield ',\n  "pairs": [\n'
    yield ",\n".join(json.dumps(entry) for entry in entries)
    yield '\n  ],\n  "texts": [\n'
    yield ",\n".join(json.dumps(entry) for entry in texts)
    yield "\n  ]\n}\n"


if __name__ == "__main__":
    main()
