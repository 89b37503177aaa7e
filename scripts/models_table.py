"""Writes the tables of docs/models.md: models by name, and what was measured.

    python scripts/models_table.py          # write
    python scripts/models_table.py --check  # fail if the file differs

Sizes follow from the configuration of a model. Times of the models in
`docs/benchmarks/families.json`, which `make bench-models` writes, are measured; those of the others
are computed from the measured event of all-MiniLM-L6-v2, in proportion to the weights that an event
reads.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/models.md"
MEASURED = ROOT / "docs/benchmarks/families.json"

US = "semblance"
REFERENCE = "all-MiniLM-L6-v2"

# A mount of the file systems that Lambda offers, as docs/performance.md measures it.
MOUNT_BYTES_PER_SECOND = 300 * 2**20


@dataclass(frozen=True)
class Sizes:
    """Numbers of a configuration: layers, hidden and intermediate size, words, positions."""

    layers: int
    hidden: int
    wide: int
    words: int
    positions: int
    # A gated layer has three products instead of two.
    is_gated: bool = False
    # Features of the queries and of the keys, if not `hidden`.
    attention: tuple[int, int] | None = None

    def layer_values(self) -> int:
        """Weights of the layers, biases and norms."""
        hidden, wide = self.hidden, self.wide
        query, key = self.attention or (hidden, hidden)
        attention = 2 * hidden * (query + key)
        products = 3 if self.is_gated else 2
        return self.layers * (attention + products * hidden * wide + 9 * hidden + wide)

    def read_bytes(self) -> int:
        """What a cold start reads: everything but the embedding table."""
        return 4 * (self.layer_values() + self.positions * self.hidden)

    def bytes(self) -> int:
        """Size of the bundle, without its tokenizer."""
        return self.read_bytes() + 4 * self.words * self.hidden


@dataclass(frozen=True)
class Named:
    """A row: published models of the same sizes. `measured` is the name in the measurements."""

    names: str
    family: str
    languages: str
    sizes: Sizes
    measured: str | None = None


L6 = Sizes(6, 384, 1536, 30_522, 512)
L12 = Sizes(12, 384, 1536, 30_522, 512)
L12_WORDS = Sizes(12, 384, 1536, 250_037, 512)
BASE = Sizes(12, 768, 3072, 30_522, 512)
BASE_WORDS = Sizes(12, 768, 3072, 250_002, 514)
LARGE = Sizes(24, 1024, 4096, 30_522, 512)
LARGE_WORDS = Sizes(24, 1024, 4096, 250_002, 514)

NAMED = (
    Named("all-MiniLM-L6-v2, multi-qa-MiniLM-L6-cos-v1", "bert", "English", L6, REFERENCE),
    Named("ms-marco-MiniLM-L6-v2 (cross-encoder)", "bert", "English", L6),
    Named("all-MiniLM-L12-v2, bge-small-en-v1.5", "bert", "English", L12, "MiniLM-L12"),
    Named(
        "multilingual-e5-small, paraphrase-multilingual-MiniLM-L12-v2",
        "bert",
        "100, 50",
        L12_WORDS,
        "multilingual-e5-small",
    ),
    Named("bge-base-en-v1.5", "bert", "English", BASE),
    Named("all-mpnet-base-v2", "mpnet", "English", BASE, "all-mpnet-base-v2"),
    Named("all-distilroberta-v1", "roberta", "English", Sizes(6, 768, 3072, 50_265, 514)),
    Named(
        "distiluse-base-multilingual-cased-v2",
        "distilbert",
        "50",
        Sizes(6, 768, 3072, 119_547, 512),
    ),
    Named(
        "multilingual-e5-base, paraphrase-multilingual-mpnet-base-v2",
        "xlm-roberta",
        "100, 50",
        BASE_WORDS,
    ),
    Named("bge-reranker-base (cross-encoder)", "xlm-roberta", "English, Chinese", BASE_WORDS),
    Named("bge-large-en-v1.5, mxbai-embed-large-v1", "bert", "English", LARGE),
    Named("multilingual-e5-large", "xlm-roberta", "100", LARGE_WORDS),
    Named(
        "bge-m3 (dense vectors)",
        "xlm-roberta",
        "100",
        Sizes(24, 1024, 4096, 250_002, 8194),
    ),
    Named(
        "gte-modernbert-base, from ONNX",
        "modernbert",
        "English",
        Sizes(22, 768, 1152, 50_368, 0, is_gated=True),
    ),
    Named(
        "nomic-embed-text-v1.5, from ONNX",
        "nomic_bert",
        "English",
        Sizes(12, 768, 3072, 30_528, 0, is_gated=True),
    ),
    Named(
        "Qwen3-Embedding-0.6B, from ONNX",
        "qwen3",
        "100",
        Sizes(28, 1024, 3072, 151_669, 0, is_gated=True, attention=(2048, 1024)),
    ),
)

BY_NAME_HEAD = (
    "| model | family | languages | size, MB | read, MB | start, s | event, ms | events/s | |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
MEASURED_HEAD = (
    "| model | system | cold start, ms | peak, MB | anonymous, MB | warm event, ms "
    "| largest difference of a score |\n|---|---|---|---|---|---|---|"
)


def by_name(models: dict[str, Any]) -> str:
    """The table of models by name."""
    base = models[REFERENCE][US]["warm_ms"]
    rows = []
    for row in NAMED:
        event, how = base * row.sizes.layer_values() / L6.layer_values(), "computed"
        if row.measured is not None:
            event, how = models[row.measured][US]["warm_ms"], "measured"
        size, read = row.sizes.bytes() / 1e6, row.sizes.read_bytes() / 1e6
        start = row.sizes.read_bytes() / MOUNT_BYTES_PER_SECOND
        cells = (row.names, row.family, row.languages, f"{size:,.0f}", f"{read:,.0f}")
        times = (f"{start:.2f}", f"{event:.3g}", f"{1000 / event:.3g}", how)
        rows.append("| " + " | ".join((*cells, *times)) + " |")
    return "\n".join([BY_NAME_HEAD, *rows])


def measured(models: dict[str, Any]) -> str:
    """The table of what was measured."""
    rows = []
    for model, systems in models.items():
        for system, it in systems.items():
            spread = f"{it['cold_ms']:,.0f} ({it['cold_least_ms']:,.0f}-{it['cold_most_ms']:,.0f})"
            rows.append(
                f"| {model} | {system} | {spread} | {it['peak_mb']:,.0f} "
                f"| {it['anonymous_mb']:,.0f} | {it['warm_ms']:.1f} "
                f"| {it['largest_score_difference']:.1e} |"
            )
    return "\n".join([MEASURED_HEAD, *rows])


def document() -> str:
    """The content that the document must have."""
    models = json.loads(MEASURED.read_text(encoding="utf-8"))["models"]
    text = DOCUMENT.read_text(encoding="utf-8")
    for head, table in ((BY_NAME_HEAD, by_name(models)), (MEASURED_HEAD, measured(models))):
        start = text.index(head)
        end = text.find("\n\n", start)
        text = text[:start] + table + text[end:]
    return text


def main() -> int:
    """Returns the exit status."""
    expected = document()
    if sys.argv[1:] == ["--check"]:
        if DOCUMENT.read_text(encoding="utf-8") == expected:
            return 0
        print("docs/models.md: run scripts/models_table.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(expected, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
