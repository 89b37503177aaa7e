r"""Writes the golden vectors and scores of the families' small models.

Run with the dependency group `golden` installed, after `make build/checkpoints/.families`:

    PYTHONPATH=model/src python model/golden/make_family_golden.py \
        --checkpoints build/checkpoints/families --output tests/data/golden-families

Every text and pair is computed alone, on one thread, so nothing depends on a neighbor's padding.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import sentence_transformers
import torch
import transformers

from families import (
    EXPORT_FOLDER,
    EXPORT_WORDS,
    EXPORTS,
    FIRST_EXPORT_WORD,
    MODULES,
    SPECIAL_TEXTS,
)
from pairs import golden_pairs
from semblance_model.families import FAMILIES
from texts import golden_texts

_EVERY = 5


def main() -> None:
    """Writes one file for each family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in EXPORTS:
        rows = ",\n".join(json.dumps(entry) for entry in texts_of_export(name))
        file = options.output / f"export-{name}.json"
        file.write_text(f'{{"texts": [\n{rows}\n]}}\n', "ascii")
    folder = options.checkpoints / "padding"
    rows = ",\n".join(json.dumps(entry) for entry in texts_of(folder, SPECIAL_TEXTS))
    (options.output / "padding.json").write_text(f'{{"texts": [\n{rows}\n]}}\n', "ascii")
    for name in MODULES:
        entries = texts_of(options.checkpoints / name)[::2]
        rows = ",\n".join(json.dumps(entry) for entry in entries)
        (options.output / f"{name}.json").write_text(f'{{"texts": [\n{rows}\n]}}\n', "ascii")
    for kind in FAMILIES:
        folder = options.checkpoints / kind
        classifier = options.checkpoints / f"{kind}-classifier"
        check_names(transformers.AutoModel, folder)
        check_names(transformers.AutoModelForSequenceClassification, classifier)
        header = {
            "model_type": kind,
            "versions": {
                "sentence-transformers": sentence_transformers.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
            "machine": platform.machine(),
        }
        lines = [json.dumps(header, indent=2)[:-2], ',\n  "texts": [\n']
        lines.append(",\n".join(json.dumps(entry) for entry in texts_of(folder)))
        lines.append('\n  ],\n  "pairs": [\n')
        lines.append(",\n".join(json.dumps(entry) for entry in pairs_of(classifier)))
        lines.append("\n  ]\n}\n")
        (options.output / f"{kind}.json").write_text("".join(lines), encoding="ascii")


def check_names(loader: Any, folder: Path) -> None:
    """Fails if transformers misses a tensor of a folder, or does not know one."""
    _, found = loader.from_pretrained(str(folder), output_loading_info=True)
    # The embedding of a sentence does not need the pooler.
    missing = [name for name in found["missing_keys"] if not name.startswith("pooler.")]
    if missing or found["unexpected_keys"] or found["mismatched_keys"]:
        raise ValueError(f"{folder}: {missing}, {found}")


def texts_of_export(name: str) -> list[dict[str, object]]:
    """Random words with the mean of what the export gives for each text alone, of unit length."""
    session = onnxruntime.InferenceSession(str(EXPORT_FOLDER / f"{name}.onnx"))
    random = np.random.default_rng(5)
    entries: list[dict[str, object]] = []
    for length in (1, 2, 3, 5, 9, 16):
        words = random.integers(0, EXPORT_WORDS, length)
        ids = words[None] + FIRST_EXPORT_WORD
        values = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (rows,) = session.run(None, {it.name: values[it.name] for it in session.get_inputs()})
        mean = rows[0].astype(np.float64).mean(axis=0)
        unit = (mean / np.linalg.norm(mean)).astype(np.float32)
        text = " ".join(f"word{word}" for word in words)
        entries.append({"text": text, "embedding": floats(unit)})
    return entries


def texts_of(folder: Path, texts: Sequence[str] | None = None) -> list[dict[str, object]]:
    """Texts with their embeddings; by default, some of the golden texts."""
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    return [
        {"text": text, "embedding": floats(model.encode([text], batch_size=1)[0])}
        for text in texts or golden_texts()[::_EVERY]
        if has_tokens(model, text)
    ]


def pairs_of(folder: Path) -> list[dict[str, object]]:
    """Some of the golden pairs with their scores."""
    model = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    return [
        {"pair": pair, "scores": floats(np.ravel(model.predict([pair], batch_size=1)))}
        for pair in golden_pairs()[::_EVERY]
        if all(has_tokens(model, text) for text in pair)
    ]


def has_tokens(model: Any, text: str) -> bool:
    """Whether a text has tokens; the engine rejects one that has none."""
    return bool(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def floats(row: Any) -> list[float]:
    """Doubles with the fewest digits that round to the same fp32."""
    return [float(str(value)) for value in row.astype(np.float32)]


if __name__ == "__main__":
    main()
