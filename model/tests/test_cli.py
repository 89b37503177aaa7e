"""The command line: the folder on standard output, everything else on standard error."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import semblance_model
from checkpoint import Checkpoint
from semblance_model.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Checkpoint().write(tmp_path / "tiny-model")


def test_the_folder_and_nothing_else_is_on_standard_output(
    folder: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--source", str(folder), "--output", str(output)]) == 0
    written, said = capsys.readouterr()
    assert re.fullmatch(rf"{output}/tiny-model/[0-9a-f]{{64}}\n", written)
    assert all(line.startswith("semblance_model: ") for line in said.splitlines())
    assert "embedding: bert, 2 layers, 8 wide, 2 heads, 16 tokens, mean pooling, normalized" in said


def test_name_and_link_are_taken(folder: Path, output: Path) -> None:
    arguments = ["build", "--source", str(folder), "--output", str(output)]
    assert main([*arguments, "--name", "other", "--link", "reranker"]) == 0
    assert (output / "reranker").resolve().parent == (output / "other").resolve()
    assert not (output / "default").exists()


def test_no_link_leaves_every_link(folder: Path, output: Path) -> None:
    assert main(["build", "--source", str(folder), "--output", str(output), "--no-link"]) == 0
    assert [path.name for path in output.iterdir()] == ["tiny-model"]


def test_a_refusal_is_one_line_and_status_2(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--source", "nowhere", "--output", str(output)]) == 2
    written, said = capsys.readouterr()
    assert written == ""
    assert said.splitlines()[-1] == (
        "semblance_model: error: --source nowhere: not an existing folder, a wheel or a hub id "
        "[source.not_found]"
    )
    assert not output.exists()


def test_a_system_error_is_reported_without_a_traceback(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    arguments = ["build", "--source", str(folder), "--output", str(tmp_path / "file" / "out")]
    assert main(arguments) == 2
    assert re.search(r"error: \S+: Not a directory \[io\]", capsys.readouterr().err)


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(["build", "--help"])
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "python -m semblance_model build --source ../my-model" in text


def test_the_package_turns_telemetry_off() -> None:
    """Before `onnxruntime` can be imported: it reads the variable then."""
    program = (
        "import os, sys, semblance_model; "
        "print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment["PYTHONPATH"] = str(Path(semblance_model.__file__).parents[1])
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "1 False\n"
