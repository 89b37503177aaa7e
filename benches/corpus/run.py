"""Builds the two indexes of the bench, once, and runs the comparison.

Run it with `make bench-corpus`.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

FOLDER = Path("build/corpus")
SEMBLANCE = Path("target/release/semblance")
QUERIES, ROWS = 500, 50_000


def built_bench() -> Path:
    """Return the newest build of the bench."""
    found = [path for path in Path("target/release/deps").glob("corpus-*") if not path.suffix]
    return max(found, key=lambda path: path.stat().st_mtime)


def main() -> None:
    """Build the indexes and compare."""
    rows = [json.loads(line) for line in (FOLDER / "wordnet.jsonl").read_text().splitlines()]
    distinct = list({row["text"]: row for row in rows}.values())
    random.Random(7).shuffle(distinct)
    parts = {"queries": distinct[:QUERIES], "rows": distinct[QUERIES : QUERIES + ROWS]}
    for name, part in parts.items():
        index, texts = FOLDER / f"bench-{name}", FOLDER / f"bench-{name}.jsonl"
        if not (index / "CURRENT").exists():
            texts.write_text("".join(json.dumps(row) + "\n" for row in part))
            subprocess.run([SEMBLANCE, "index", "build", index, texts], check=True)
    command = [sys.executable, "benches/corpus/compare.py", "--bench", str(built_bench())]
    command += ["--index", str(FOLDER / "bench-rows"), "--queries", str(FOLDER / "bench-queries")]
    subprocess.run([*command, *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
