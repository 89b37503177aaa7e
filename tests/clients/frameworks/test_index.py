"""The folder of an index, read by the tools of data people."""

import json
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow.parquet
import pytest

from doors import built
from doors.environment import environment
from doors.golden import ELEMENT_TOLERANCE, Vectors, largest_difference, stacked
from doors.scenarios import PLAIN

ROWS = [
    {"id": f"row-{n}", "text": item.text, "year": 2000 + n, "part": "even" if n % 2 == 0 else "odd"}
    for n, item in enumerate(PLAIN)
]


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The segments of an index of two, in the order of their rows."""
    folder = tmp_path_factory.mktemp("index")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    command = [built("target/debug/semblance", "test-clients"), "index", "build", "docs"]
    command += ["rows.jsonl", "--segment-rows", str(len(ROWS) // 2 + 1)]
    ran = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    index = folder / "docs"
    current = (index / "CURRENT").read_text().strip()
    manifest = json.loads((index / "manifests" / f"{current}.json").read_text())
    found = [index / "segments" / segment["digest"] for segment in manifest["segments"]]
    assert len(found) == 2
    return found


def files(segments: list[Path]) -> list[str]:
    return [str(segment / "rows.parquet") for segment in segments]


def test_polars_reads_the_rows(segments: list[Path]) -> None:
    frame = polars.concat([polars.read_parquet(file) for file in files(segments)])
    assert frame["id"].to_list() == [row["id"] for row in ROWS]
    assert frame["text"].to_list() == [row["text"] for row in ROWS]
    late = frame.filter(polars.col("year") >= 2003, polars.col("part") == "odd")
    assert late["id"].to_list() == [
        row["id"] for n, row in enumerate(ROWS) if n >= 3 and row["part"] == "odd"
    ]


def test_duckdb_queries_the_rows(segments: list[Path]) -> None:
    query = f"SELECT part, count(*), min(year) FROM read_parquet({files(segments)!r}) GROUP BY part"
    found = sorted(duckdb.sql(query).fetchall())
    odd = len(ROWS) // 2
    assert found == [("even", len(ROWS) - odd, 2000), ("odd", odd, 2001)]


def test_pyarrow_reads_the_rows_of_each_segment(segments: list[Path]) -> None:
    counts = [pyarrow.parquet.read_metadata(file).num_rows for file in files(segments)]
    arrays = [np.load(segment / "vectors.npy", mmap_mode="r") for segment in segments]
    assert counts == [len(array) for array in arrays]


def test_numpy_maps_the_vectors(segments: list[Path]) -> None:
    arrays = [np.load(segment / "vectors.npy", mmap_mode="r") for segment in segments]
    assert all(array.dtype == np.float32 and array.shape[1] == 384 for array in arrays)
    rows: Vectors = np.concatenate(arrays)
    assert largest_difference(rows, stacked(PLAIN)) <= ELEMENT_TOLERANCE
    for segment in segments:
        upper, lower, factors, center = (
            np.load(segment / f"{name}.npy", mmap_mode="r")
            for name in ("codes.8.upper", "codes.8.lower", "factors.8", "center")
        )
        rest = np.load(segment / "vectors.npy").astype(np.float64) - center
        upper, lower = (
            np.hstack([half & 15, half >> 4]).astype(np.int64) for half in (upper, lower)
        )
        scale, length, upper_error, error = np.split(factors.astype(np.float64), 4, axis=1)
        for found, limit in (
            (rest, length),
            (rest - scale * (16 * upper - 120.5), upper_error),
            (rest - scale * (16 * upper + lower - 128), error),
        ):
            distances = np.linalg.norm(found, axis=1, keepdims=True)
            assert (distances <= limit * 1.001 + 1e-7).all(), "what the exact search relies on"
            assert (distances >= limit * 0.999 - 1e-7).all(), "no looser than needed"


def test_polars_joins_the_rows_with_their_vectors(segments: list[Path]) -> None:
    query = np.asarray(stacked(PLAIN)[4], dtype=np.float32)
    frames = []
    for segment in segments:
        scores = np.load(segment / "vectors.npy", mmap_mode="r") @ query
        frame = polars.read_parquet(segment / "rows.parquet")
        frames.append(frame.with_columns(polars.Series("score", scores)))
    best = polars.concat(frames).sort("score", descending=True).row(0, named=True)
    assert best["id"] == "row-4" and best["score"] == pytest.approx(1, abs=1e-5)
