r"""Writes the golden vectors of multilingual-e5-small, computed by sentence-transformers.

Run with the dependency group `golden` installed, after `make build/model/.e5`:

    PYTHONPATH=model/src python model/golden/make_multilingual_golden.py \
        --source build/checkpoints/multilingual-e5-small \
        --output tests/data/golden/multilingual-e5-small.json

Every text is encoded alone, on one thread. The file has the token ids, and the embedding of one
sentence of each language.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
import transformers

from multilingual import sentences

_PREFIX = "query: "


def main() -> None:
    """Loads the model as a user of sentence-transformers would, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = sentence_transformers.SentenceTransformer(options.source, device="cpu")
    lines = []
    for index, (language, meaning, text) in enumerate(sentences()):
        prefixed = _PREFIX + text
        row = model.encode([prefixed], batch_size=1)[0].astype(np.float32)
        entry = {
            "language": language,
            "meaning": meaning,
            "text": prefixed,
            "ids": model.tokenizer(prefixed)["input_ids"],
            # One of the meanings of each language, each meaning equally often.
            "embedding": [float(str(it)) for it in row] if index // 3 % 3 == meaning else None,
        }
        lines.append(json.dumps(entry))
    versions = {
        "sentence-transformers": sentence_transformers.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    header = json.dumps({"model": "multilingual-e5-small", "versions": versions})[:-1]
    text = f'{header}, "texts": [\n' + ",\n".join(lines) + "\n]}\n"
    options.output.write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
