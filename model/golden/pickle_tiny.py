r"""Writes the tiny model of the tests as torch pickles it, in both formats.

Run with the dependency group `golden` installed:

    PYTHONPATH=model/src:model/tests python model/golden/pickle_tiny.py --output model/tests/data
"""

import argparse
from collections import OrderedDict
from pathlib import Path

import torch

from checkpoint import TINY, Checkpoint


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    tensors = OrderedDict(
        (name, torch.from_numpy(values.copy()))
        for name, values in Checkpoint(**TINY).tensors.items()
    )
    torch.save(tensors, folder / "tiny.bin")
    torch.save(tensors, folder / "tiny-legacy.bin", _use_new_zipfile_serialization=False)
    # Parameters, a buffer of integers, and tensors that are parts of one storage, one transposed.
    mixed: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, values in tensors.items():
        half = values.to(torch.bfloat16)
        if half.ndim == 2:
            half = half.T.contiguous().T
        mixed[f"bert.{name}"] = torch.nn.Parameter(half)
    mixed["bert.embeddings.position_ids"] = torch.arange(24)
    both = torch.cat([tensors["encoder.layer.0.output.dense.bias"]] * 2).to(torch.bfloat16)
    size = len(both) // 2
    mixed["bert.encoder.layer.0.output.dense.bias"] = both[size:]
    torch.save(mixed, folder / "tiny-mixed.bin")


if __name__ == "__main__":
    main()
