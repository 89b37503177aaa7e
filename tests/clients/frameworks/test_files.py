"""The files of `semblance embed`, read by the tools of data people."""

import csv
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

# Each eleventh record of the input is blank, and the last one.
GOOD = [number + number // 10 for number in range(len(PLAIN))]
RECORDS = GOOD[-1] + 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file of Windows, embedded in each format."""
    folder = tmp_path_factory.mktemp("files")
    texts = dict(zip(GOOD, (item.text for item in PLAIN), strict=True))
    lines = [texts.get(number, "") for number in range(RECORDS)]
    (folder / "in.txt").write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    for name in ("out.jsonl", "out.csv", "out.npy", "out.parquet"):
        command = [built("target/debug/semblance", "test-clients"), "embed", "in.txt", "-o", name]
        ran = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        skipped = [line for line in ran.stderr.splitlines() if line.startswith("skipped: ")]
        assert len(skipped) == RECORDS - len(PLAIN)
        assert "line 11 is empty" in skipped[0]
    return folder


def check(indices: list[int], rows: Vectors, tokens: list[int]) -> None:
    assert indices == GOOD
    assert largest_difference(rows, stacked(PLAIN)) <= ELEMENT_TOLERANCE
    assert tokens == [item.tokens for item in PLAIN]


def test_json_lines_are_read_by_polars_and_duckdb(folder: Path) -> None:
    frame = polars.read_ndjson(folder / "out.jsonl")
    rows = np.array(frame["embedding"].to_list(), dtype=np.float32)
    check(frame["text_index"].to_list(), rows, frame["tokens"].to_list())
    assert frame["truncated"].to_list() == [False] * len(PLAIN)
    query = f"SELECT text_index, embedding, tokens FROM '{folder}/out.jsonl' ORDER BY text_index"
    found = duckdb.sql(query).fetchall()
    check([row[0] for row in found], as_rows([row[1] for row in found]), [row[2] for row in found])
    lines = (folder / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["text_index"] for line in lines] == GOOD


def test_numpy_reads_the_array_with_a_row_for_every_record(folder: Path) -> None:
    rows = np.load(folder / "out.npy")
    assert rows.dtype == np.float32 and rows.flags["C_CONTIGUOUS"]
    assert rows.shape == (RECORDS, 384)
    assert np.flatnonzero(np.isnan(rows).any(axis=1)).tolist() == [
        number for number in range(len(rows)) if number not in GOOD
    ]
    assert largest_difference(rows[GOOD], stacked(PLAIN)) <= ELEMENT_TOLERANCE
    mapped = np.load(folder / "out.npy", mmap_mode="r")
    assert np.array_equal(mapped, rows, equal_nan=True)


def test_csv_is_read_by_polars_and_duckdb_and_the_standard_library(folder: Path) -> None:
    names = [f"embedding_{number}" for number in range(384)]
    frame = polars.read_csv(folder / "out.csv")
    assert frame.columns == ["text_index", "tokens", "truncated", *names]
    rows = frame.select(names).to_numpy().astype(np.float32)
    check(frame["text_index"].to_list(), rows, frame["tokens"].to_list())
    # Numbers are written so that they read as the same f32.
    exact = np.load(folder / "out.npy")[GOOD]
    assert np.array_equal(rows, exact)
    assert duckdb.sql(f"SELECT truncated FROM '{folder}/out.csv'").fetchall() == [
        (False,) for _ in PLAIN
    ]
    with (folder / "out.csv").open(newline="") as file:
        assert [int(row["text_index"]) for row in csv.DictReader(file)] == GOOD


def test_parquet_is_read_by_pyarrow_and_polars_and_duckdb(folder: Path) -> None:
    path = folder / "out.parquet"
    exact = np.load(folder / "out.npy")[GOOD]
    table = pyarrow.parquet.read_table(path)
    assert [str(column.type) for column in table.schema] == [
        "int64",
        "int32",
        "bool",
        "list<element: float not null>",
    ]
    assert not any(column.nullable for column in table.schema)
    columns = table.to_pydict()
    check(columns["text_index"], as_rows(columns["embedding"]), columns["tokens"])
    assert np.array_equal(as_rows(columns["embedding"]), exact)
    frame = polars.read_parquet(path)
    assert np.array_equal(as_rows(frame["embedding"].to_list()), exact)
    query = f"SELECT embedding FROM '{path}' WHERE NOT truncated ORDER BY text_index"
    assert np.array_equal(as_rows([row[0] for row in duckdb.sql(query).fetchall()]), exact)


def as_rows(vectors: list[list[float]]) -> Vectors:
    return np.array(vectors, dtype=np.float32)
