"""Demo: indexes a few thousand definitions of WordNet, searches, mines and clusters them.

It needs npm for the texts, or the corpus of an earlier run.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

TEXTS = Path("build/corpus/wordnet-3000.jsonl")
INDEX = Path("build/corpus/wordnet-3000")
ROWS = 3_000
SHOWN = 6


def run(*arguments: str) -> list[str]:
    """Run a command of `semblance`, print it with its time, and return its lines."""
    started = time.monotonic()
    ran = subprocess.run(
        ["target/release/semblance", *arguments], check=False, capture_output=True, text=True
    )
    if ran.returncode != 0:
        sys.exit(ran.stderr)
    seconds = time.monotonic() - started
    print(f"\n$ semblance {' '.join(arguments)}    ({seconds:.2f} s)")
    return ran.stdout.splitlines()


def show(lines: list[str], count: int = SHOWN) -> None:
    """Print the first lines, each at most as wide as a terminal."""
    for line in lines[:count]:
        print(f"  {line[:150]}")
    if len(lines) > count:
        print(f"  … {len(lines) - count} more lines")


def main() -> None:
    """Run the demo."""
    if not TEXTS.exists():
        command = [sys.executable, "scripts/corpus_texts.py", str(TEXTS), "--limit", str(ROWS)]
        subprocess.run(command, check=True)
    shutil.rmtree(INDEX, ignore_errors=True)
    index = str(INDEX)
    show(run("index", "build", index, str(TEXTS)))
    show(run("index", "info", index), 10)
    query = "a small animal with fur"
    show(run("search", index, query, "--top-k", "4"))
    show(run("search", index, query, "--top-k", "3", "--filter", '{"part": "verb"}'))
    show(run("mine", index, "--max-pairs", "5", "--output", "csv"))
    clusters = ("--threshold", "0.45", "--min-size", "8")
    show(run("cluster", index, *clusters))
    pictures = [f"build/corpus/wordnet-3000.{kind}" for kind in ("svg", "png")]
    show(run("map", index, *clusters, "--output", pictures[0], "--output", pictures[1]))


if __name__ == "__main__":
    main()
