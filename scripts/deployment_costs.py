"""Writes what cold starts and events cost into terraform/README.md.

    python scripts/deployment_costs.py            # write the tables
    python scripts/deployment_costs.py --check    # fail if the file differs
    python scripts/deployment_costs.py --measure  # measure first; `make bench-storage`

Cold starts and sizes are those of `docs/benchmarks/storage.json`, which `--measure` writes. The
time of an event is the one of `docs/benchmarks.md`, which `make bench-peers` writes.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import layer

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "terraform/README.md"
MEASURED = ROOT / "docs/benchmarks/storage.json"
EVENTS = ROOT / "docs/benchmarks.md"
PACKAGE = ROOT / "target/lambda/similarity/bootstrap.zip"
BUNDLES = {"fp32": ROOT / "build/model/default", "int8": ROOT / "build/model/int8"}
RUNS = 7

# On-demand prices of us-east-1, USD.
GB_SECOND = 0.0000166667
MILLION_REQUESTS = 0.20
LOG_GB = 0.50
MILLION_TRACES = 5.00
EFS_READ_GB = 0.03
ENDPOINT_HOUR = 0.461
ENDPOINT_MONTH = ENDPOINT_HOUR * 730
# What is stored while nothing runs: the first table of costs.
IDLE_MONTH = 0.03
# The default memory size, and that of one CPU.
MEMORY_MB, CPU_MB = 1280, 1769
# Lines of the function and of Lambda about an event.
LOG_KB = 1.3
# X-Ray samples one event per second and 5 % of the rest.
SAMPLED = 0.05


@dataclass(frozen=True)
class Start:
    """Cold starts with a storage and a precision: sizes, median time and bytes read from EFS."""

    storage: str
    precision: str
    zips_bytes: tuple[int, ...]
    extracted_bytes: int
    cold_ms: float
    read_bytes: int

    def usd(self) -> float:
        """Price of 1,000 cold starts: reads, and duration at the default memory size."""
        return 1000 * (self.read_bytes / 1e9 * EFS_READ_GB + duration_usd(self.cold_ms))


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--measure", action="store_true", help="measure cold starts first; as root")
    arguments = parser.parse_args()
    if arguments.measure:
        written = json.dumps([asdict(start) for start in measure()], indent=2)
        MEASURED.write_text(written + "\n")
    starts = [Start(**entry) for entry in json.loads(MEASURED.read_text())]
    document = DOCUMENT.read_text()
    wanted = with_tables(document, starts, event_ms(EVENTS.read_text()))
    if arguments.check:
        if document != wanted:
            print(f"error: {DOCUMENT} differs; run scripts/deployment_costs.py", file=sys.stderr)
        return int(document != wanted)
    DOCUMENT.write_text(wanted)
    return 0


def measure() -> list[Start]:
    """Measures the cold starts of both storages in both precisions, on one CPU."""
    with zipfile.ZipFile(PACKAGE) as archive:
        extracted = sum(entry.file_size for entry in archive.infolist())
    starts = []
    for storage, case in (("efs", "--slow-mount"), ("package", "--warm-cache")):
        for precision, bundle in BUNDLES.items():
            cold_ms, read_mb = cold_start(case, bundle)
            zips, size = [PACKAGE.stat().st_size], extracted
            if storage == "package":
                packed, content_bytes = layer_of(bundle)
                zips.append(packed)
                size += content_bytes
            read_bytes = round(read_mb * 1e6)
            start = Start(storage, precision, tuple(zips), size, round(cold_ms, 1), read_bytes)
            starts.append(start)
    return starts


def cold_start(case: str, bundle: Path) -> tuple[float, float]:
    """Returns the median time to the first response in ms, and the MB read from the mount."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = ["cargo", "bench", "--locked", "--quiet", "--bench", "cold", "--", case]
        command += ["--cpus", "1", "--runs", str(RUNS), "--warm", "0", "--bundle", str(bundle)]
        subprocess.run([*command, "--json", file.name], cwd=ROOT, check=True)
        (found,) = json.loads(Path(file.name).read_text())["cases"]
    medians = {entry["name"]: entry["median"] for entry in found["subjects"][0]["measures"]}
    return medians["spawn -> first response"], medians.get("read from the mount", 0.0)


def layer_of(bundle: Path) -> tuple[int, int]:
    """Returns the size of the layer that holds a bundle, and that of its content."""
    with tempfile.TemporaryDirectory() as scratch:
        layer.pack(bundle, Path(scratch))
        packed = (Path(scratch) / "default.zip").resolve()
        with zipfile.ZipFile(packed) as archive:
            content_bytes = sum(entry.file_size for entry in archive.infolist())
        return packed.stat().st_size, content_bytes


def duration_usd(one_cpu_ms: float) -> float:
    """Price of work that takes one CPU some milliseconds, at the default memory size."""
    return billed_ms(one_cpu_ms) / 1000 * MEMORY_MB / 1024 * GB_SECOND


def billed_ms(one_cpu_ms: float) -> int:
    """Lambda bills whole milliseconds; a function has a CPU for each 1769 MB."""
    return math.ceil(one_cpu_ms * CPU_MB / MEMORY_MB)


def event_ms(benchmarks: str) -> float:
    """Returns the time of the seed event from the table of events."""
    section = benchmarks.split("\n## Events\n")[1].split("\n## ", maxsplit=1)[0]
    header, values = re.findall(r"^\|  \| .*\n|^\| semblance \| .*\n", section, re.MULTILINE)[:2]
    column = [cell.strip() for cell in header.split("|")].index("seed event, ms")
    return float(values.split("|")[column].split()[0])


def with_tables(document: str, starts: list[Start], milliseconds: float) -> str:
    """Returns the document with every table written again."""
    tables = {
        "storage": storage_table(starts),
        "events": events_table(starts, milliseconds),
        "endpoint": endpoint_table(*events_usd(starts, milliseconds)),
    }
    for name, table in tables.items():
        begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
        before, rest = document.split(begin)
        document = f"{before}{begin}{table}{end}{rest.split(end)[1]}"
    return document


def storage_table(starts: list[Start]) -> str:
    """Returns the table of storages and precisions."""
    sizes = ("zips, MB", "extracted, MB", "cold start, ms", "read from EFS, MB")
    rows = [
        row("storage", "precision", *sizes, "USD per 1,000 cold starts"),
        row(*["---"] * 7),
    ]
    for start in starts:
        zips = " + ".join(f"{size / 1e6:.1f}" for size in start.zips_bytes)
        read = f"{start.read_bytes / 1e6:.1f}" if start.read_bytes else "0"
        usd = f"{start.usd():.2f}" if start.usd() >= 0.01 else f"{start.usd():.3f}"
        extracted, cold = f"{start.extracted_bytes / 1e6:.1f}", f"{start.cold_ms:.0f}"
        rows.append(row(f"`{start.storage}`", start.precision, zips, extracted, cold, read, usd))
    return "\n".join(rows)


def dearest(starts: list[Start]) -> Start:
    """Returns the storage and precision whose cold starts cost most."""
    return max(starts, key=Start.usd)


def parts_usd(milliseconds: float) -> tuple[float, float, float]:
    """Price of a million events: their duration, requests and logs."""
    return 1e6 * duration_usd(milliseconds), MILLION_REQUESTS, LOG_KB * LOG_GB


def events_usd(starts: list[Start], milliseconds: float) -> tuple[float, float]:
    """Least and greatest price of a million events."""
    base = sum(round(part, 2) for part in parts_usd(milliseconds))
    return base + SAMPLED * MILLION_TRACES, base + MILLION_TRACES + round(dearest(starts).usd(), 2)


def row(*cells: str) -> str:
    """Returns a row of a table."""
    return f"| {' | '.join(cells)} |"


def events_table(starts: list[Start], milliseconds: float) -> str:
    """Returns the calculation of a million events."""
    duration, requests, logs = parts_usd(milliseconds)
    least, greatest = events_usd(starts, milliseconds)
    cold = dearest(starts)
    billed, memory = billed_ms(milliseconds), MEMORY_MB / 1024
    share = f"{MEMORY_MB} / {CPU_MB} = {MEMORY_MB / CPU_MB:.2f}"
    time = f"1,000,000 x {billed / 1000:.3f} s x {memory:.2f} GB x {GB_SECOND:.10f}"
    lines = f"about {LOG_KB} kB per event, with those of Lambda: {LOG_KB} GB x {LOG_GB:.2f}"
    sample = f"one event per second and {100 * SAMPLED:.0f} % of the rest"
    return "\n".join(
        [
            "**A million events** of a query and two candidates. One core needs "
            f"{milliseconds:.1f} ms for an event (warm",
            "median on the machine of [docs/benchmarks.md](../docs/benchmarks.md#events)). "
            f"{MEMORY_MB} MB provide",
            f"{share} of a core, so {billed} ms are billed. This is calculated, not measured on "
            "Lambda.",
            "",
            row("", "calculation", "USD"),
            row("---", "---", "---"),
            row("duration", time, f"{duration:.2f}"),
            row("requests", f"1,000,000 x {requests:.2f} / million", f"{requests:.2f}"),
            row("logs", lines, f"{logs:.2f}"),
            row(
                "traces",
                f"{MILLION_TRACES:.2f} / million traced: {sample}",
                f"{SAMPLED * MILLION_TRACES:.2f} to {MILLION_TRACES:.2f}",
            ),
            row(
                "cold starts",
                f"none, to 1,000 of `{cold.storage}` and {cold.precision}",
                f"0 to {cold.usd():.2f}",
            ),
            row("**total**", "", f"**{least:.2f} to {greatest:.2f}**"),
        ]
    )


def endpoint_table(least: float, greatest: float) -> str:
    """Returns the comparison with an endpoint that is always on."""
    saved = ENDPOINT_MONTH - IDLE_MONTH
    month, idle = f"{ENDPOINT_MONTH:.2f}", f"{IDLE_MONTH:.2f}"
    caller = f"{month} and the function that calls it"
    one, ten = ((IDLE_MONTH + n * least, IDLE_MONTH + n * greatest) for n in (1, 10))
    few, many = f"{saved / greatest:.0f}", f"{saved / least:.0f}"
    return "\n".join(
        [
            row("", "semblance", "endpoint"),
            row("---", "---", "---"),
            row("a month idle", idle, f"{ENDPOINT_HOUR} an hour x 730 h = {month}"),
            row("a month with 1 million events", f"{one[0]:.2f} to {one[1]:.2f}", caller),
            row("a month with 10 million events", f"{ten[0]:.0f} to {ten[1]:.0f}", caller),
            row(
                "break-even",
                f"({month} - {idle}) / {greatest:.2f} to {least:.2f}",
                f"{few} to {many} million events a month, if one instance handles them",
            ),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
