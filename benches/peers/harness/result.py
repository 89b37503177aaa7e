"""Reads the results of the parts and computes the figures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness import machine, measure, place
from harness.peer import US

# Dense layers of MiniLM-L6, one token: 6 layers of 4 h^2 + 2 h * 4 h weights with h = 384, a
# multiplication and an addition each.
FLOP_OF_TOKEN = 2 * 6 * 12 * 384 * 384


@dataclass(frozen=True)
class Spread:
    """Median and range of some rounds."""

    median: float
    least: float
    most: float

    def shown(self, digits: int) -> str:
        """The text for a table."""
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}-{self.most:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Median and range."""
    return Spread(median(values), min(values), max(values))


class Result:
    """All parts of a run."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, Any]] = {
            name: json.loads(place.part(name).read_text(encoding="utf-8"))
            for name in measure.parts_of(has_avx512=machine.has_avx512())
        }
        self.export: dict[str, float] = json.loads(place.part("export").read_text(encoding="utf-8"))

    @property
    def has_avx2_parts(self) -> bool:
        """Whether AVX2 was measured in separate parts."""
        return "avx2" in self.parts

    @property
    def name(self) -> str:
        """The name of the document and of the folder of its plots."""
        return "benchmarks" if self.has_avx2_parts else "benchmarks-avx2"

    def ms(self, part: str, what: str, peer: str = US) -> Spread:
        """Time of an event."""
        return spread(self.parts[part]["times_ms"][what][peer])

    def texts_a_second(self, part: str, peer: str) -> Spread:
        """Throughput on the event of 512 texts."""
        times = self.parts[part]["times_ms"]["512 texts"][peer]
        return spread([measure.THROUGHPUT_TEXTS / ms * 1e3 for ms in times])

    def memory_mb(self, part: str, kind: str, peer: str = US) -> Spread:
        """`peak_mb` or `anonymous_mb` at the end of a part."""
        return spread([held[kind] for held in self.parts[part]["memory"][peer]])

    def gflops(self, part: str) -> Spread:
        """The best product of each round."""
        return spread([max(products.values()) for products in self.parts[part]["gflops"]])

    def best_product(self, part: str) -> str:
        """The product whose median is the highest."""
        rounds = self.parts[part]["gflops"]
        names: list[str] = list(rounds[0])
        return max(names, key=lambda name: median(products[name] for products in rounds))

    def floor_ms(self, part: str, what: str) -> float:
        """Time of an event's dense layers at the machine's peak of the same run."""
        flop = self.parts[part]["tokens"][what] * FLOP_OF_TOKEN
        return float(flop / (self.gflops(part).median * 1e9) * 1e3)

    def floor_texts_a_second(self, part: str) -> float:
        """Throughput at the machine's peak."""
        return measure.THROUGHPUT_TEXTS / self.floor_ms(part, "512 texts") * 1e3

    def products_ms(self, part: str, what: str) -> float:
        """Time of all products of the model for the tokens of an event, weights from memory."""
        rows = str(self.parts[part]["tokens"][what])
        return float(median(products[rows] for products in self.parts[part]["products_ms"]))

    def score_difference(self, peer: str) -> float:
        """Largest of all parts in which the peer runs."""
        return max(
            float(event[peer])
            for part in self.parts.values()
            for event in part.get("score_differences", {}).values()
            if peer in event
        )
