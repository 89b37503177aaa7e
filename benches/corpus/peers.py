"""The libraries that are compared: faiss, usearch and sentence-transformers."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from index_files import Array

TOLERANCE = 1e-6


@dataclass
class Searcher:
    """An index of a library: its name, its search for a query, and the time to build it."""

    name: str
    search: Callable[[Array], Array]
    built_s: float

    def timed(self, queries: Array) -> tuple[float, Array]:
        """Return the median time of a query in milliseconds, and the rows of all queries."""
        times, found = [], []
        for query in queries:
            start = time.perf_counter()
            found.append(self.search(query[None]))
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times), np.concatenate(found)


def flat(rows: Array) -> Searcher:
    """A flat index of faiss."""
    return faiss_index(rows, "Flat")


def faiss_index(rows: Array, name: str) -> Searcher:
    """An index of faiss by the name that its factory knows."""
    faiss.omp_set_num_threads(1)
    index = faiss.index_factory(rows.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    start = time.perf_counter()
    index.train(rows)
    index.add(rows)
    built = time.perf_counter() - start
    if name.endswith("RFlat"):
        index.k_factor = 10

    def search(query: Array) -> Array:
        found: Array = index.search(query, 10)[1]
        return found

    return Searcher(f"faiss {name}", search, built)


def faiss_binary(rows: Array) -> Searcher:
    """Signs of the centered vectors in faiss, and the 400 nearest rows again in f32."""
    center = rows.mean(axis=0)
    start = time.perf_counter()
    signs = np.packbits(rows > center, axis=1)
    binary = faiss.IndexBinaryFlat(signs.shape[1] * 8)
    binary.add(signs)
    built = time.perf_counter() - start

    def search(query: Array) -> Array:
        near = binary.search(np.packbits(query > center, axis=1), 400)[1][0]
        scores = rows[near] @ query[0]
        best: Array = near[np.argsort(-scores)[:10]]
        return best[None]

    return Searcher("faiss binary + 400 rows", search, built)


def usearch_graphs(rows: Array, file: Path) -> list[Searcher]:
    """A graph of usearch with rising effort. It is saved to a file."""
    from usearch.index import Index  # noqa: PLC0415

    index = Index(ndim=rows.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=128)
    start = time.perf_counter()
    index.add(np.arange(len(rows)), rows)
    built = time.perf_counter() - start
    index.save(file)

    def searcher(effort: int) -> Searcher:
        def search(query: Array) -> Array:
            index.expansion_search = effort
            found: Array = index.search(query[0], 10).keys
            return found[None]

        return Searcher(f"usearch HNSW, ef {effort}", search, built)

    return [searcher(effort) for effort in (64, 128, 256, 512)]


def mined(rows: Array) -> tuple[float, list[Any]]:
    """Time `paraphrase_mining` of sentence-transformers."""
    import torch  # noqa: PLC0415
    from sentence_transformers import util  # noqa: PLC0415

    torch.set_num_threads(2)
    start = time.perf_counter()
    pairs = util.paraphrase_mining_embeddings(torch.from_numpy(rows))
    return time.perf_counter() - start, pairs


def clustered(rows: Array) -> tuple[float, list[list[int]]]:
    """Time `community_detection` of sentence-transformers."""
    import torch  # noqa: PLC0415
    from sentence_transformers import util  # noqa: PLC0415

    torch.set_num_threads(2)
    start = time.perf_counter()
    clusters = util.community_detection(torch.from_numpy(rows))
    seconds = time.perf_counter() - start
    return seconds, [[int(row) for row in cluster] for cluster in clusters]


def compared_pairs(rows: Array, ours: list[Any], theirs: list[Any]) -> str:
    """Compare two lists of (score, a, b). A difference must lie at the limit, in f64."""
    mine = {(a, b): score for score, a, b in ours}
    other = {(a, b): score for score, a, b in theirs}
    limit = min(*mine.values(), *other.values())
    common = mine.keys() & other.keys()
    disputed = mine.keys() ^ other.keys()
    wide = rows.astype(np.float64)
    wrong = [p for p in disputed if abs(float(wide[p[0]] @ wide[p[1]]) - limit) > TOLERANCE]
    largest = max(abs(mine[pair] - other[pair]) for pair in common)
    verdict = "" if not wrong and largest <= TOLERANCE else f"; {len(wrong)} WRONG"
    return (
        f"{len(common):,} of {len(other):,} pairs equal, {len(disputed)} at the limit, "
        f"scores within {largest:.1e}{verdict}"
    )


def compared_clusters(ours: list[list[int]], theirs: list[list[int]]) -> str:
    """Compare two lists of groups."""
    lists = sum(a == b for a, b in zip(ours, theirs, strict=False))
    sets = sum(set(a) == set(b) for a, b in zip(ours, theirs, strict=False))
    return f"{lists} of {len(theirs)} clusters equal with their order, {sets} as sets"
