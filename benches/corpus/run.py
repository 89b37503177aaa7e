"""Measures an index next to faiss, usearch and sentence-transformers, in one run.

The programs take turns; a ratio is the median of the ratios of the rounds. Writes the tables to
docs/corpora-benchmarks.md. Run it with `make bench-corpus`, as root for the slow mount. A part can
be measured again alone: `make bench-corpus ARGS='--part cold'` keeps the results of the others. The
part `indexes` only builds the indexes, and `report` only writes the tables again.
"""

import argparse
import json
import random
import shutil
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
from index_files import recall, row_ids, segments, vectors
from report import Report
from results import Results

FOLDER = Path("build/corpus")
SEMBLANCE = Path("target/release/semblance")
QUERIES, ROWS, MIXED_ROWS = 500, 100_000, 1_000_000
PAIR_ROWS = 50_000
ROUNDS = 3
# Two runs of six seconds differ by more than what is measured.
BUILD_ROUNDS = 9

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
    """Append rows to a copy of an index, unless they are there."""
    index, texts = FOLDER / f"bench-{name}", FOLDER / f"bench-{name}.jsonl"
    if not (index / "CURRENT").exists():
        copied = FOLDER / "bench-copied"
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(small, copied)
        copied.rename(index)
    # An append that was interrupted goes on.
    if [part for _, part in segments(index)] == [part for _, part in segments(small)]:
        write_rows(texts, rows)
        print(f"embedding {len(rows)} rows", flush=True)
        semblance("index", "append", index, texts)
    if len(segments(index)) > 1:
        semblance("index", "compact", index, "--grace-hours", "0")
    return index


# --- Searches ---------------------------------------------------------------------------


def compare_searches(results: Results, index: Path, queries: Path, folder: Path) -> None:
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
    results.add(
        "searches", rounds, recalls, {other.name: other.built_s for other in others}, written
    )
    results.add("filters", last["filters"])


def compare_mixed(results: Results, source: Path, queries: Path) -> None:
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
    results.add("mixed", len(rows), rounds, shares[-1])


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
        server.stdout.read()  # It prints how many bytes were read, and ends.


def opened(index: Path, queries: Path, limit: int = 20) -> Json:
    """Open an index on a slow mount and search it."""
    with slow_mount(index) as mounted:
        return bench("open", mounted, queries, "--limit", limit)


def compare_cold(results: Results, indexes: list[Path], queries: Path, folder: Path) -> None:
    """Open and first search on a slow mount."""
    for index in indexes:
        results.add("cold", index.name, [opened(index, queries) for _ in range(5)])
    runs = []
    graph = folder / "graph"
    graph.mkdir()
    peers.usearch_graphs(vectors(indexes[0]), graph / "graph.usearch")
    np.save(folder / "queries.npy", vectors(queries)[:60])
    script = ["benches/corpus/usearch_view.py"]
    for _ in range(3):
        with slow_mount(graph) as mounted:
            files = map(str, [mounted / "graph.usearch", folder / "queries.npy"])
            command = [sys.executable, *script, *files]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            runs.append(json.loads(done.stdout))
    results.add("cold", "usearch view", runs)


def compare_limited(results: Results, index: Path, queries: Path) -> None:
    """Searches on the slow mount in a group that may use 128 MB of memory."""
    group = Path("/sys/fs/cgroup/memory/semblance-bench")
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(128 << 20))
    except OSError as error:
        results.add("skipped", "memory limit 128 MB", str(error))
        return
    with slow_mount(index) as mounted:
        script = f'echo $$ > {group}/tasks && exec "$@"'
        command = [built("corpus"), "open", mounted, queries]
        limited = ["sh", "-c", script, "sh", *map(str, command)]
        done = subprocess.run(limited, check=True, capture_output=True, text=True)
    results.add("limited", json.loads(done.stdout))
    group.rmdir()


# --- Pairs and clusters --------------------------------------------------------------------


def compare_pairs(results: Results, index: Path, folder: Path) -> None:
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
        if number == 0:  # it takes long, and its time hardly varies
            times["their mine"], their_pairs = peers.mined(rows)
            times["their cluster"], their_clusters = peers.clustered(rows)
        rounds.append(times)
    results.add(
        "pairs",
        rounds,
        peers.compared_pairs(rows, pairs, their_pairs),
        peers.compared_clusters(clusters, their_clusters),
    )


def measure_memory(results: Results, index: Path, folder: Path) -> None:
    """Peak memory of mining."""
    found = bench("mine", index, folder / "found.json")
    results.add("mining_memory", found["mining_peak_mb"], found["seconds"])


def measure_build(results: Results, texts: list[Json], folder: Path) -> None:
    """Building an index next to embedding the same texts."""
    write_rows(folder / "rows.jsonl", texts)
    (folder / "rows.txt").write_text("".join(row["text"] + "\n" for row in texts))

    def build() -> float:
        shutil.rmtree(folder / "built", ignore_errors=True)
        return semblance("index", "build", folder / "built", folder / "rows.jsonl")

    def embed() -> float:
        (folder / "rows.npy").unlink(missing_ok=True)
        return semblance("embed", folder / "rows.txt", "-o", folder / "rows.npy")

    ratios = []
    for number in range(BUILD_ROUNDS):
        if number % 2:
            embedding, building = embed(), build()
        else:
            building, embedding = build(), embed()
        ratios.append(embedding / building)
    results.add("build", len(texts), ratios)


def indexes_of(rows: list[Json]) -> tuple[Path, Path, Path]:
    """Return the indexes of the queries, of some rows and of all rows. Builds what is missing."""
    queries = index_of("queries", rows[:QUERIES])
    some, others = rows[QUERIES : QUERIES + PAIR_ROWS], rows[QUERIES + PAIR_ROWS :]
    small = index_of("rows", some)
    return queries, small, grown(small, f"rows-{len(some) + len(others)}", others)


def measure(part: str, results: Results, rows: list[Json], folder: Path) -> None:
    """Measure a part."""
    queries, small, large = indexes_of(rows)
    mixed = FOLDER / "bench-mixed"
    match part:
        case "searches":
            compare_searches(results, large, queries, folder)
        case "mixed":
            compare_mixed(results, large, queries)
        case "cold":
            indexes = [index for index in (large, mixed) if (index / "CURRENT").exists()]
            compare_cold(results, indexes, queries, folder)
        case "limited":
            compare_limited(results, mixed if (mixed / "CURRENT").exists() else large, queries)
        case "pairs":
            compare_pairs(results, small, folder)
        case "memory":
            measure_memory(results, large, folder)
        case "build":
            measure_build(results, rows[QUERIES : QUERIES + 3_000], folder)


PARTS = ["searches", "mixed", "cold", "limited", "pairs", "memory", "build"]


def main() -> None:
    """Build the indexes and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/corpora-benchmarks.md"))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--part", choices=["indexes", "report", *PARTS], action="append")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in (FOLDER / "wordnet.jsonl").read_text().splitlines()]
    distinct = list({row["text"]: row for row in rows}.values())
    random.Random(7).shuffle(distinct)
    used = distinct[: QUERIES + arguments.rows]
    if arguments.part == ["indexes"]:
        indexes_of(used)
        return
    results = Results(FOLDER / "results")
    for part in arguments.part or PARTS:
        print(f"part: {part}", flush=True)
        if part != "report":
            with tempfile.TemporaryDirectory() as temporary, results.part(part):
                measure(part, results, used, Path(temporary))
        kept = len(used) - QUERIES
        report = Report(kept, min(kept, PAIR_ROWS))
        results.replay(PARTS, report)
        report.write(arguments.output)
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
