"""The tables of `make bench-corpus`, and whether the targets are met."""

import os
import platform
import statistics
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HEAD = """# Benchmarks of corpora

`make bench-corpus` wrote this file. [corpora.md](corpora.md) explains the searches, and
[ADR 0014](adr/0014-corpora.md) the choices behind them.
"""


class Report:
    """Collects tables and targets."""

    def __init__(self, rows: int, pair_rows: int):
        self.rows, self.pair_rows = rows, pair_rows
        # The load of the machine before and after each part.
        self.loads: dict[str, list[float]] = {}
        self.tables: list[str] = []
        self.targets: list[tuple[str, str, str, bool | None]] = []

    def target(self, what: str, limit: str, found: str, met: bool | None) -> None:
        """Add a row to the table of targets."""
        self.targets.append((what, limit, found, met))

    def below(self, what: str, found: float, limit: float, unit: str) -> None:
        """Add a target that is an upper limit."""
        self.target(what, f"<= {limit:g} {unit}", f"{found:.3g}", found <= limit)

    def skipped(self, what: str, reason: str) -> None:
        """Add a target that could not be measured."""
        self.target(what, "", f"not measured: {reason}", None)

    # --- Searches ----------------------------------------------------------------------

    def searches(
        self,
        rounds: list[dict[str, float]],
        recalls: dict[str, float],
        built: dict[str, float],
        written_s: float,
    ) -> None:
        """Searches for one query at a time, with one thread."""
        lines = [
            "| | median ms | of faiss flat | recall at 10 | build s |",
            "|---|---|---|---|---|",
        ]
        names = {"exact": "**exact**", "approximate": "**approximate**", "flat f32": "f32 scan"}
        for name in rounds[0]:
            if " of 32" in name:
                continue
            ratio = relative(rounds, name, "faiss Flat")
            share = f"{recalls[name]:.4f}" if name in recalls else ""
            seconds = written_s if name in ("exact", "approximate") else built.get(name)
            build = "" if seconds is None else f"{seconds:.1f}"
            label = names.get(name, name)
            lines.append(
                f"| {label} | {middle(rounds, name):.3f} | {ratio:.3f} | {share} | {build} |"
            )
        of_32 = middle(rounds, "exact of 32"), middle(rounds, "faiss Flat of 32")
        self.tables.append(
            f"## Searches of {self.rows:,} rows\n\nReal texts and 500 queries that are not among "
            "them, one query at a time, one thread, all in memory. The time to build excludes "
            "embedding; that of an index includes writing and hashing all its files.\n\n"
            + "\n".join(lines)
            + f"\n\n32 exact queries at once take {of_32[0]:.2f} ms each, {of_32[1]:.2f} in faiss "
            "flat."
        )
        exact = relative(rounds, "exact", "faiss Flat")
        self.target(
            "exact search, rows of faiss flat",
            "recall 1, <= 0.3 of faiss flat",
            f"recall {recalls['exact']:.4f}, {exact:.3f}",
            recalls["exact"] == 1 and exact <= 0.30,
        )
        self.below("exact search", relative(rounds, "exact", "faiss SQ8"), 0.5, "of faiss SQ8")
        self.below("f32 scan", relative(rounds, "flat f32", "faiss Flat"), 0.85, "of faiss flat")
        approximate, reached = "approximate", recalls["approximate"]
        default = relative(rounds, approximate, "faiss Flat")
        self.target(
            "default search",
            "recall >= 0.99, <= 0.1 of faiss flat",
            f"recall {reached:.4f}, {default:.3f}",
            reached >= 0.99 and default <= 0.10,
        )
        product = next(name for name in rounds[0] if "4fs" in name)
        for other, limit in (("faiss binary + 400 rows", 0.8), (product, 1.2)):
            ratio = relative(rounds, approximate, other)
            self.below("default search", ratio, limit, f"of {other}")
        graphs = [other for other in rounds[0] if other.startswith("usearch")]
        graph = next((other for other in graphs if recalls[other] >= 0.99), graphs[-1])
        ratio = relative(rounds, approximate, graph)
        self.below("default search", ratio, 0.45, f"of {graph}")
        self.below("build without embedding", written_s / built[graph], 0.05, "of usearch")
        self.below(
            "32 exact queries",
            relative(rounds, "exact of 32", "faiss Flat of 32"),
            0.25,
            "of faiss flat",
        )
        self.unfiltered = reached

    def filters(self, filters: list[Json]) -> None:
        """Recall under filters."""
        lines = [
            "| passes | default: recall at 10 | median ms | approximate: recall | median ms | "
            "exact, ms |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['share']:.2%} | {row['default_recall']:.4f}{', exact' * row['is_exact']} | "
            f"{row['default_ms']:.3f} | {row['recall']:.4f} | {row['median_ms']:.3f} | "
            f"{row['exact_ms']:.3f} |"
            for row in filters
        ]
        self.tables.append(
            "## Filters\n\nFilters that fewer and fewer rows pass. The default search is exact if "
            "at most 50,000 rows are left. The approximate search is of the same rows.\n\n"
            + "\n".join(lines)
        )
        least = min(row["default_recall"] for row in filters)
        self.target(
            "recall of the default search under every filter",
            f">= {self.unfiltered:.4f}, without a filter",
            f"{least:.4f}",
            least >= self.unfiltered,
        )

    def mixed(self, rows: int, rounds: list[dict[str, float]], share: float) -> None:
        """A million rows."""
        lines = ["| | median ms | of faiss flat |", "|---|---|---|"]
        for name in rounds[0]:
            ratio = relative(rounds, name, "faiss Flat")
            lines.append(f"| {name} | {middle(rounds, name):.2f} | {ratio:.3f} |")
        self.tables.append(
            f"## {rows:,} rows\n\nThe vectors above and mixes of two of them (0.8 and 0.2, with "
            f"noise), which are good for times. The approximate search has a recall at 10 of "
            f"{share:.4f}.\n\n" + "\n".join(lines)
        )
        time = middle(rounds, "approximate")
        self.target(
            f"{rows:,} rows, default",
            "<= 5 ms, recall >= 0.97",
            f"{time:.2f} ms, {share:.4f}",
            time <= 5 and share >= 0.97,
        )
        ratio = relative(rounds, "exact", "faiss Flat")
        self.below(f"{rows:,} rows, exact", ratio, 0.35, "of faiss flat")

    # --- Cold --------------------------------------------------------------------------

    def cold(self, name: str, runs: list[Json]) -> None:
        """Open and first search on a slow mount."""
        first = statistics.median(run["open_ms"] + run["query_ms"][0] for run in runs)
        opened = statistics.median(run["open_ms"] for run in runs)
        later = statistics.median(ms for run in runs for ms in run["query_ms"][5:])
        if not any(table.startswith("## Cold") for table in self.tables):
            self.tables.append(
                "## Cold\n\nA new process on a mount with 0.6 ms a request, 300 MiB/s, read-ahead "
                "of 128 KiB and 64 requests at a time. Nothing is in the page cache.\n\n"
                "| | open, ms | open and first search, ms | later searches, ms |\n|---|---|---|---|"
            )
            self.first_cold = first
        label = name.removeprefix("bench-")
        self.tables[-1] += f"\n| {label} | {opened:.1f} | {first:.1f} | {later:.1f} |"
        if name == "usearch view":
            self.below(
                "slow mount, open and first search", self.first_cold / first, 0.1, "of usearch"
            )
        else:
            limit = 250 if name == "bench-mixed" else 40
            self.below(f"slow mount, open and first search, {label}", first, limit, "ms")

    def limited(self, run: Json) -> None:
        """Searches in 128 MB."""
        times = run["query_ms"]
        median, largest = statistics.median(times), max(times)
        self.tables.append(
            "## With little memory\n\nThe same mount, in a group of processes that may use 128 "
            f"MB with the page cache: median {median:.1f} ms, largest {largest:.1f} ms of "
            f"{len(times)} searches; the first took {times[0]:.1f} ms."
        )
        self.target(
            "memory limit 128 MB",
            "median <= 30 ms, none > 60 ms",
            f"{median:.1f}, {largest:.1f}",
            median <= 30 and largest <= 60,
        )

    # --- Pairs -------------------------------------------------------------------------

    def pairs(self, rounds: list[Json], pairs: str, clusters: str) -> None:
        """Mining and clustering with two threads."""
        lines = ["| | seconds | of sentence-transformers |", "|---|---|---|"]
        for name, limit, narrow in (("mine", 0.12, 0.30), ("cluster", 0.16, 0.30)):
            theirs = statistics.median(r[f"their {name}"] for r in rounds if f"their {name}" in r)
            for label, key, most in (
                (name, name, limit),
                (f"{name}, AVX2 kernels", f"{name} avx2", narrow),
            ):
                seconds = statistics.median(r[key] for r in rounds)
                lines.append(f"| {label} | {seconds:.2f} | {seconds / theirs:.3f} |")
                self.below(label, seconds / theirs, most, "of sentence-transformers")
            lines.append(f"| sentence-transformers, {name} | {theirs:.2f} | 1 |")
        self.tables.append(
            f"## Pairs and clusters of {self.pair_rows:,} rows\n\nThe 500,000 best pairs of the "
            "100 nearest rows of each, and groups at 0.75, with two threads, next to "
            "sentence-transformers 6.2, which is timed once.\n\n"
            + "\n".join(lines)
            + f"\n\n{pairs}. {clusters}."
        )

    def mining_memory(self, megabytes: float, seconds: float) -> None:
        """Peak memory of mining."""
        self.tables[-1] += (
            f"\n\nMining {self.rows:,} rows takes {seconds:.1f} s and at most {megabytes:.0f} MB."
        )
        self.below(f"peak memory of mining {self.rows:,} rows", megabytes, 300, "MB")

    def build(self, rows: int, ratios: list[float]) -> None:
        """Rate of building next to embedding."""
        ratio = statistics.median(ratios)
        self.target(
            f"rate of `index build`, {rows:,} rows",
            ">= 0.97 of `embed`",
            f"{ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} rounds)",
            ratio >= 0.97,
        )

    # --- All ---------------------------------------------------------------------------

    def write(self, path: Path) -> None:
        """Write the document."""
        lines = ["| | target | found | |", "|---|---|---|---|"]
        for what, limit, found, met in self.targets:
            verdict = {True: "met", False: "**missed**", None: ""}[met]
            lines.append(f"| {what} | {limit} | {found} | {verdict} |")
        model = next(
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
        loads = ", ".join(f"{name} {a:.1f} and {b:.1f}" for name, (a, b) in self.loads.items())
        machine = (
            f"Machine: {model}, {os.cpu_count()} CPUs, {platform.machine()}, Linux "
            f"{platform.release()}. The load of the machine before and after each part: {loads}; "
            "above 2, other work ran at the same time. "
            "The programs took turns, three rounds; a time is the median of the rounds, and a "
            "ratio the median of the ratios of each round."
        )
        parts = [
            HEAD,
            machine,
            "\n## Targets\n",
            "\n".join(lines),
            *(f"\n{t}" for t in self.tables),
        ]
        path.write_text("\n".join(parts) + "\n")


def middle(rounds: list[dict[str, float]], name: str) -> float:
    """Return the median of the rounds."""
    return statistics.median(times[name] for times in rounds)


def relative(rounds: list[dict[str, float]], name: str, other: str) -> float:
    """Return the median of the ratios of the rounds."""
    return statistics.median(times[name] / times[other] for times in rounds)
