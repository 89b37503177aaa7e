"""Measures an index next to faiss, usearch and sentence-transformers, in one run.

The programs take turns; a ratio is the median of the ratios of the rounds. Writes the tables to
docs/corpora-benchmarks.md. Run it with `make bench-corpus`, as root for the slow mount.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import peers
from index_files import recall, row_ids, vectors
from report import Report

FOLDER = Path("build/corpus")
SEMBLANCE = Path("target/release/semblance")
QUERIES, ROWS, MIXED_ROWS = 500, 100_000, 1_000_000
PAIR_ROWS = 50_000
ROUNDS = 3

Json = dict[str, Any]


def built(name: str) -> Path:
    """Return the newest build of a bench."""
    found = [path for path in Path("target/release/deps").glob(f"{name}-*") if not path.suffix]
    return max(found, key=lambda path: path.stat().st_mtime)


def bench(*arguments: object) -> Json:
    """Run the bench `corpus`."""
    command = [str(part) for part in (built("corpus"), *arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def semblance(*arguments: object) -> float:
    """Run the command line, and return its time in seconds."""
    start = time.perf_counter()
    command = [str(part) for part in (SEMBLANCE, *arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def index_of(name: str, rows: list[Json]) -> Path:
    """Build an index, unless it is there."""
    index, texts = FOLDER / f"bench-{name}", FOLDER / f"bench-{name}.jsonl"
    if not (index / "CURRENT").exists():
        write_rows(texts, rows)
        print(f"embedding {len(rows)} rows", flush=True)
        semblance("index", "build", index, texts)
    return index


def write_rows(path: Path, rows: list[Json]) -> None:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def grown(small: Path, name: str, rows: list[Json]) -> Path:
    """Append rows to a copy of an index."""
    index, texts = FOLDER / f"bench-{name}", FOLDER / f"bench-{name}.jsonl"
    if not (index / "CURRENT").exists():
        shutil.rmtree(index, ignore_errors=True)
        shutil.copytree(small, index)
        write_rows(texts, rows)
        print(f"embedding {len(rows)} rows", flush=True)
        semblance("index", "append", index, texts)
        semblance("index", "compact", index, "--grace-hours", "0")
    return index


# --- Searches ---------------------------------------------------------------------------


def compare_searches(report: Report, index: Path, queries: Path, folder: Path) -> None:
    """Searches of one index by every library."""
    rows, asked = vectors(index), vectors(queries)
    exact = np.argsort(-(asked @ rows.T), axis=1, kind="stable")[:, :10]
    numbers = {name: number for number, name in enumerate(row_ids(index))}
    dim = rows.shape[1]
    others = [
        *(peers.faiss_index(rows, name) for name in ("Flat", "SQfp16", "SQ8")),
        peers.faiss_index(rows, f"PQ{dim // 2}x4fs,RFlat"),
        peers.faiss_binary(rows),
        *peers.usearch_graphs(rows, folder / "graph.usearch"),
    ]
    np.save(folder / "queries.npy", asked[:60])
    rounds: list[dict[str, float]] = []
    recalls: dict[str, float] = {}
    last: Json = {}
    for _ in range(ROUNDS):
        last = bench("search", index, queries)
        times = {"flat f32": last["flat_ms"], "exact of 32": last["exact"]["of_32_ms"]}
        for name in ("exact", "approximate"):
            times[name] = last[name]["median_ms"]
            found = np.array([[numbers[one] for one in row] for row in last[name]["ids"]])
            recalls[name] = recall(exact, found)
        for other in others:
            times[other.name], found = other.timed(asked)
            recalls[other.name] = recall(exact, found)
        start = time.perf_counter()
        for _ in range(5):
            others[0].search(asked[:32])
        times["faiss Flat of 32"] = (time.perf_counter() - start) * 1e3 / (5 * 32)
        rounds.append(times)
    copied = FOLDER / "bench-copy"
    shutil.rmtree(copied, ignore_errors=True)
    written = bench("write", index, copied, len(rows))["seconds"]
    shutil.rmtree(copied)
    report.searches(rounds, recalls, {other.name: other.built_s for other in others}, written)
    report.filters(last["filters"])


def compare_mixed(report: Report, source: Path, queries: Path) -> Path:
    """Searches of a million rows, most of them mixes."""
    index = FOLDER / "bench-mixed"
    if not (index / "CURRENT").exists():
        print(f"writing {MIXED_ROWS} rows", flush=True)
        bench("write", source, index, MIXED_ROWS)
    asked = vectors(queries)[:100]
    rows = vectors(index)
    flat = peers.flat(rows)
    exact = np.argsort(-(asked @ rows.T), axis=1, kind="stable")[:, :10]
    rounds, shares = [], []
    for _ in range(ROUNDS):
        ours = bench("search", index, queries, "--limit", 100)
        found = np.array([[int(one) for one in row] for row in ours["approximate"]["ids"]])
        shares.append(recall(exact, found))
        rounds.append(
            {
                "exact": ours["exact"]["median_ms"],
                "approximate": ours["approximate"]["median_ms"],
                "faiss Flat": flat.timed(asked[:30])[0],
            }
        )
    report.mixed(len(rows), rounds, shares[-1])
    return index


# --- Cold, and with little memory ----------------------------------------------------------


@contextmanager
def slow_mount(folder: Path) -> Iterator[Path]:
    """A mount with 0.6 ms a request and 300 MiB/s."""
    command = [str(built("cold")), "--serve-mount", str(folder), "--mount-latency-ms", "0.6"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield Path(server.stdout.readline().strip())
        server.stdin.close()


def opened(index: Path, queries: Path, limit: int = 20) -> Json:
    """Open an index on a slow mount and search it."""
    with slow_mount(index) as mounted:
        return bench("open", mounted, queries, "--limit", limit)


def compare_cold(report: Report, indexes: list[Path], queries: Path, folder: Path) -> None:
    """Open and first search on a slow mount."""
    for index in indexes:
        report.cold(index.name, [opened(index, queries) for _ in range(5)])
    runs = []
    graph = folder / "graph"
    graph.mkdir()
    shutil.move(folder / "graph.usearch", graph)
    script = ["benches/corpus/usearch_view.py"]
    for _ in range(3):
        with slow_mount(graph) as mounted:
            files = map(str, [mounted / "graph.usearch", folder / "queries.npy"])
            command = [sys.executable, *script, *files]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            runs.append(json.loads(done.stdout))
    report.cold("usearch view", runs)


def compare_limited(report: Report, index: Path, queries: Path) -> None:
    """Searches on the slow mount in a group that may use 128 MB of memory."""
    group = Path("/sys/fs/cgroup/memory/semblance-bench")
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(128 << 20))
    except OSError as error:
        report.skipped("memory limit 128 MB", str(error))
        return
    with slow_mount(index) as mounted:
        script = f'echo $$ > {group}/tasks && exec "$@"'
        command = [built("corpus"), "open", mounted, queries]
        limited = ["sh", "-c", script, "sh", *map(str, command)]
        done = subprocess.run(limited, check=True, capture_output=True, text=True)
    report.limited(json.loads(done.stdout))
    group.rmdir()


# --- Pairs and clusters --------------------------------------------------------------------


def compare_pairs(report: Report, index: Path, folder: Path) -> None:
    """Mining and clustering of one index, with two threads."""
    rows = vectors(index)
    file = folder / "found.json"
    rounds = []
    for number in range(ROUNDS):
        times: Json = {}
        times["mine"] = bench("mine", index, file)["seconds"]
        pairs = json.loads(file.read_text())
        times["cluster"] = bench("cluster", index, file)["seconds"]
        clusters = json.loads(file.read_text())
        times["mine avx2"] = bench("mine", index, file, "--instruction-set", "avx2")["seconds"]
        times["cluster avx2"] = bench("cluster", index, file, "--instruction-set", "avx2")[
            "seconds"
        ]
        if number < 2:  # it takes long, and its time hardly varies
            times["their mine"], their_pairs = peers.mined(rows)
            times["their cluster"], their_clusters = peers.clustered(rows)
        rounds.append(times)
    report.pairs(
        rounds,
        peers.compared_pairs(rows, pairs, their_pairs),
        peers.compared_clusters(clusters, their_clusters),
    )


def measure_memory(report: Report, index: Path, folder: Path) -> None:
    """Peak memory of mining."""
    found = bench("mine", index, folder / "found.json")
    report.mining_memory(found["mining_peak_mb"], found["seconds"])


def measure_build(report: Report, texts: list[Json], folder: Path) -> None:
    """Building an index next to embedding the same texts."""
    write_rows(folder / "rows.jsonl", texts)
    (folder / "rows.txt").write_text("".join(row["text"] + "\n" for row in texts))
    ratios = []
    for _ in range(ROUNDS):
        shutil.rmtree(folder / "built", ignore_errors=True)
        building = semblance("index", "build", folder / "built", folder / "rows.jsonl")
        (folder / "rows.out").unlink(missing_ok=True)
        embedding = semblance("embed", folder / "rows.txt", "-o", folder / "rows.out")
        ratios.append(embedding / building)
    report.build(len(texts), statistics.median(ratios))


def main() -> None:
    """Build the indexes and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/corpora-benchmarks.md"))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--no-mixed", action="store_true", help="without the million rows")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in (FOLDER / "wordnet.jsonl").read_text().splitlines()]
    distinct = list({row["text"]: row for row in rows}.values())
    random.Random(7).shuffle(distinct)
    queries = index_of("queries", distinct[:QUERIES])
    kept = distinct[QUERIES : QUERIES + arguments.rows]
    small = index_of("rows", kept[:PAIR_ROWS])
    large = grown(small, f"rows-{arguments.rows}", kept[PAIR_ROWS:])
    report = Report(len(kept), len(kept[:PAIR_ROWS]), os.getloadavg()[0])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compare_searches(report, large, queries, folder)
        indexes = [large]
        if not arguments.no_mixed:
            indexes.append(compare_mixed(report, large, queries))
        compare_cold(report, indexes, queries, folder)
        compare_limited(report, indexes[-1], queries)
        compare_pairs(report, small, folder)
        measure_memory(report, large, folder)
        measure_build(report, kept[:3_000], folder)
    report.write(arguments.output, os.getloadavg()[0])
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
