"""Embeds the golden texts of a model with the command line and compares the vectors.

python scripts/check_golden.py --program target/debug/semblance --bundle build/model/mpnet \
        --golden tests/data/golden/all-mpnet-base-v2.json
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

# Largest difference of an element and of a score.
_ELEMENT, _SCORE = 2e-5, 1e-5


def main() -> int:
    """Prints the largest differences; fails if one is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--golden", type=Path, required=True)
    options = parser.parse_args()
    golden = json.loads(options.golden.read_text(encoding="utf-8"))["texts"]
    # The engine rejects a text without tokens, which has the two special ones alone.
    golden = [entry for entry in golden if entry["tokens"] > 2]
    lines = "".join(json.dumps({"text": entry["text"]}) + "\n" for entry in golden)
    finished = subprocess.run(
        [options.program, "embed", "--jsonl", "--bundle", options.bundle],
        input=lines,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    replies = [json.loads(line) for line in finished.stdout.splitlines()]
    found = np.array([reply["embedding"] for reply in replies])
    expected = np.array([entry["embedding"] for entry in golden])
    for reply, entry in zip(replies, golden, strict=True):
        if (reply["tokens"], reply["truncated"]) != (entry["tokens"], entry["truncated"]):
            print(f"tokens differ: {reply['tokens']}, expected {entry['tokens']}")
            return 1
    element = np.abs(found - expected).max()
    score = np.abs(found @ found.T - expected @ expected.T).max()
    print(f"{len(golden)} texts: an element differs by {element:.1e}, a score by {score:.1e}")
    return int(not (element <= _ELEMENT and score <= _SCORE))


if __name__ == "__main__":
    sys.exit(main())
