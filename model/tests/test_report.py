"""What the builder says about a bundle that it has built."""

import json
import re
import stat
from pathlib import Path

import pytest

from checkpoint import Checkpoint
from conftest import Build
from semblance_model.build import Order, build
from semblance_model.report import speed_line


def test_a_cold_start_reads_all_but_the_embedding_table(make: Build) -> None:
    bundle = make(Checkpoint(vocabulary=5_000, hidden=32))
    size = sum(file.stat().st_size for file in bundle.folder.iterdir())
    read = size - 5_000 * 32 * 4
    expected = f"built: {size / 1e6:.1f} MB; a cold start reads {read / 1e6:.1f} MB, 0.00 s at"
    assert any(line.startswith(expected) for line in bundle.said), bundle.said


@pytest.mark.parametrize(("labels", "what"), [(None, "a cosine"), (2, "a logit")])
def test_the_error_of_int8_is_said(tmp_path: Path, labels: int | None, what: str) -> None:
    source = Checkpoint(labels=labels, heads=4, hidden=32).write(tmp_path / "tiny-model")
    said: list[str] = []
    build(Order(str(source), None, tmp_path / "out", None, None, "int8"), said.append)
    (line,) = [line for line in said if line.startswith("int8 against fp32")]
    found = re.search(rf"{what} differs by ([\d.]+) in the mean and ([\d.]+) at most", line)
    assert found is not None, line
    mean, most = float(found[1]), float(found[2])
    assert 0 < mean <= most < 2


def test_the_speed_is_that_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert speed_line(tmp_path) is None
    program = tmp_path / "semblance"
    answer = json.dumps({"tokens": 10})
    program.write_text(f"#!/bin/sh\nwhile read -r line; do echo '{answer}'; done\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    line = speed_line(tmp_path)
    assert line is not None and re.fullmatch(r"[\d,]+ tokens per second in .*/semblance", line)
    program.write_text("#!/bin/sh\nexit 1\n")
    assert speed_line(tmp_path) is None
