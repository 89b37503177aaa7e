"""Compares an index with faiss, usearch and sentence-transformers on the same vectors, in one run.

    python benches/corpus/compare.py --bench target/release/… --index INDEX --queries INDEX

The queries are the rows of a second index: texts that the first does not have. A library that is
not installed is left out. `make bench-corpus` runs it.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-6


def vectors(index: Path) -> Array:
    """Return the vectors of an index without deleted rows, [rows, dim]."""
    current = (index / "CURRENT").read_text().strip()
    manifest = json.loads((index / "manifests" / f"{current}.json").read_text())
    parts = [
        np.load(index / "segments" / part["digest"] / "vectors.npy", mmap_mode="r")
        for part in manifest["segments"]
    ]
    return np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)


def timed(search: Callable[[Array], Array], queries: Array) -> tuple[float, Array]:
    """Return the median time of a query in milliseconds, and the rows of all."""
    times, found = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(search(query[None]))
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), np.concatenate(found)


def recall(exact: Array, found: Array) -> float:
    """Return the share of the exact rows that were found."""
    pairs = zip(exact, found, strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in pairs]))


def of_faiss(rows: Array, queries: Array) -> list[tuple[str, float, Array, float]]:
    """Time flat indexes of faiss, and one with product quantization."""
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(1)
    dim = rows.shape[1]
    results = []
    for name in ("Flat", "SQfp16", "SQ8", f"PQ{dim // 2}x4fs,RFlat"):
        index = faiss.index_factory(dim, name, faiss.METRIC_INNER_PRODUCT)
        start = time.perf_counter()
        index.train(rows)
        index.add(rows)
        built = time.perf_counter() - start
        if name.endswith("RFlat"):
            index.k_factor = 10

        def search(query: Array, index: Any = index) -> Array:
            found: Array = index.search(query, 10)[1]
            return found

        median, found = timed(search, queries)
        results.append((f"faiss {name}", median, found, built))
    signs = np.packbits(rows > rows.mean(axis=0), axis=1)
    binary = faiss.IndexBinaryFlat(signs.shape[1] * 8)
    binary.add(signs)
    center = rows.mean(axis=0)

    def rescored(query: Array) -> Array:
        near = binary.search(np.packbits(query > center, axis=1), 400)[1][0]
        scores = rows[near] @ query[0]
        best: Array = near[np.argsort(-scores)[:10]]
        return best[None]

    median, found = timed(rescored, queries)
    results.append(("faiss binary + 400 rows", median, found, 0.0))
    return results


def of_usearch(rows: Array, queries: Array) -> list[tuple[str, float, Array, float]]:
    """Time a graph of usearch with rising effort."""
    from usearch.index import Index  # noqa: PLC0415

    results = []
    index = Index(ndim=rows.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=128)
    start = time.perf_counter()
    index.add(np.arange(len(rows)), rows)
    built = time.perf_counter() - start

    def search(query: Array) -> Array:
        found: Array = index.search(query[0], 10).keys
        return found[None]

    for effort in (64, 128, 256, 512):
        index.expansion_search = effort
        median, found = timed(search, queries)
        results.append((f"usearch HNSW, ef {effort}", median, found, built))
    return results


def check_pairs(rows: Array, ours: list[Any], theirs: list[Any]) -> str:
    """Compare two lists of (score, a, b); every difference must lie at the limit."""
    mine = {(a, b): score for score, a, b in ours}
    other = {(a, b): score for score, a, b in theirs}
    limit = min(*mine.values(), *other.values())
    common = mine.keys() & other.keys()
    disputed = mine.keys() ^ other.keys()
    wide = rows.astype(np.float64)
    wrong = [p for p in disputed if abs(float(wide[p[0]] @ wide[p[1]]) - limit) > TOLERANCE]
    largest = max(abs(mine[p] - other[p]) for p in common)
    if wrong or largest > TOLERANCE:
        sys.exit(f"{len(wrong)} pairs differ, scores by up to {largest}")
    return (
        f"{len(common)} of {len(other)} equal, {len(disputed)} at the limit,"
        f" scores within {largest:.1e}"
    )


def of_sentence_transformers(rows: Array, found: dict[str, Any]) -> dict[str, Any]:
    """Time mining and clustering, and compare the results."""
    import torch  # noqa: PLC0415
    from sentence_transformers import util  # noqa: PLC0415

    torch.set_num_threads(2)
    tensor = torch.from_numpy(rows)
    start = time.perf_counter()
    pairs = util.paraphrase_mining_embeddings(tensor)
    mined = time.perf_counter() - start
    start = time.perf_counter()
    clusters = util.community_detection(tensor)
    clustered = time.perf_counter() - start
    clusters = [[int(row) for row in cluster] for cluster in clusters]
    same = sum(a == b for a, b in zip(found["clusters"], clusters, strict=False))
    sets = sum(set(a) == set(b) for a, b in zip(found["clusters"], clusters, strict=False))
    return {
        "mine_s": mined,
        "cluster_s": clustered,
        "pairs": check_pairs(rows, found["pairs"], pairs),
        "clusters": f"{same} of {len(clusters)} equal lists, {sets} equal sets,"
        f" {len(found['clusters'])} found",
    }


def main() -> None:
    """Run every comparison whose library is installed and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=Path, required=True, help="the built bench `corpus`")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--found", type=Path, help="keep pairs and clusters in this file")
    parser.add_argument("--no-pairs", action="store_true", help="leave out mining and clustering")
    arguments = parser.parse_args()
    rows, queries = vectors(arguments.index), vectors(arguments.queries)
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.found or Path(folder) / "found.json"
        command = [arguments.bench, "--index", arguments.index, "--queries", arguments.queries]
        command += [] if arguments.no_pairs else ["--pairs", file]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        ours = json.loads(ran.stdout)
        found = {} if arguments.no_pairs else json.loads(file.read_text())
    scores = queries @ rows.T
    exact = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    ids = {name: number for number, name in enumerate(row_ids(arguments.index))}
    table: list[tuple[str, float, float, float]] = []
    for name in ("exact", "approximate"):
        mine = np.array([[ids[one] for one in row] for row in ours[name]["ids"]])
        table.append((f"semblance, {name}", ours[name]["median_ms"], recall(exact, mine), 0.0))
    for library, of in (("faiss", of_faiss), ("usearch", of_usearch)):
        if importlib.util.find_spec(library):
            results = of(rows, queries)
            table += [(name, ms, recall(exact, hit), built) for name, ms, hit, built in results]
    flat = next((ms for name, ms, *_ in table if name == "faiss Flat"), None)
    print(f"{len(rows)} rows, {len(queries)} queries, {rows.shape[1]} dimensions\n")
    print("| | median ms | of faiss flat | recall at 10 | build s |\n|---|---|---|---|---|")
    for name, ms, share, built in table:
        ratio = f"{ms / flat:.3f}" if flat else "-"
        print(f"| {name} | {ms:.3f} | {ratio} | {share:.4f} | {built:.1f} |")
    print("\n| filter passes | recall at 10 | median ms | exact ms |\n|---|---|---|---|")
    for row in ours["filters"]:
        print(
            f"| {row['share']:.2%} | {row['recall']:.4f} | {row['median_ms']:.3f}"
            f" | {row['exact_ms']:.3f} |"
        )
    print(
        f"\n32 queries at once: exact {ours['exact']['of_32_ms']:.3f} ms a query, approximate"
        f" {ours['approximate']['of_32_ms']:.3f}; peak memory {ours['peak_memory_mb']:.0f} MB"
    )
    if found:
        print(f"\nmine {ours['mine_s']:.2f} s, cluster {ours['cluster_s']:.2f} s")
        if importlib.util.find_spec("sentence_transformers"):
            theirs = of_sentence_transformers(rows, found)
            for name in ("mine", "cluster"):
                ratio = ours[f"{name}_s"] / theirs[f"{name}_s"]
                print(f"sentence-transformers {name} {theirs[f'{name}_s']:.2f} s: {ratio:.3f}")
            print(f"pairs: {theirs['pairs']}\nclusters: {theirs['clusters']}")


def row_ids(index: Path) -> list[str]:
    """Return the ids of the rows, in order."""
    current = (index / "CURRENT").read_text().strip()
    manifest = json.loads((index / "manifests" / f"{current}.json").read_text())
    found = []
    for part in manifest["segments"]:
        data = (index / "segments" / part["digest"] / "texts.bin").read_bytes()
        count = 2 * part["rows"] + 1
        bounds = np.frombuffer(data[-8 * count :], dtype="<u8")
        pairs = zip(bounds[:-1:2], bounds[1::2], strict=True)
        found += [data[start:end].decode() for start, end in pairs]
    return found


if __name__ == "__main__":
    main()
