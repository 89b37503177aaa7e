"""A bundle appears complete or not at all, and is the same every time."""

import os
import signal
import subprocess
import sys
import textwrap
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from checkpoint import Checkpoint
from conftest import REPOSITORY, Build
from semblance_model import publish
from semblance_model.build import Order, build
from semblance_model.refusal import Refusal


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def visible(output: Path) -> list[str]:
    """What can be seen below `output`: every path of which no part is hidden."""
    paths = (path.relative_to(output) for path in output.rglob("*"))
    return sorted(str(p) for p in paths if not any(part.startswith(".") for part in p.parts))


def test_the_folder_is_named_by_the_digest_of_its_manifest(make: Build, output: Path) -> None:
    folder = make(Checkpoint()).folder
    assert folder.name == sha256((folder / "bundle.json").read_bytes()).hexdigest()
    assert folder.parent == output / "tiny-model"
    assert sorted(contents(folder)) == [
        "bundle.json",
        "model.onnx",
        "model.weights",
        "model.words",
        "tokenizer.json",
        "vocabulary.txt",
    ]


def test_the_manifest_has_size_and_digest_of_every_file(make: Build) -> None:
    bundle = make(Checkpoint())
    for file in bundle.manifest["files"].values():
        data = (bundle.folder / file["path"]).read_bytes()
        assert len(data) == file["size_bytes"]
        assert sha256(data).hexdigest() == file["sha256"]


def test_anyone_may_read_a_bundle(make: Build) -> None:
    folder = make(Checkpoint()).folder
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("labels", [None, 2])
def test_a_second_build_elsewhere_is_the_same_to_the_bit(
    make: Build, output: Path, labels: int | None
) -> None:
    first = make(Checkpoint(labels=labels))
    before = contents(first.folder)
    output.rename(output.with_name("first"))
    second = make(Checkpoint(labels=labels))
    assert contents(second.folder) == before
    assert second.folder.name == first.folder.name


def test_other_weights_make_another_bundle(make: Build) -> None:
    assert make(Checkpoint(seed=1)).folder != make(Checkpoint(seed=2)).folder


def test_a_bundle_that_is_there_is_left_alone(make: Build) -> None:
    first = make(Checkpoint())
    before = {path: path.stat() for path in [first.folder, *first.folder.iterdir()]}
    second = make(Checkpoint())
    assert second.folder == first.folder
    assert {path: path.stat().st_ino for path in before} == {
        path: stat.st_ino for path, stat in before.items()
    }
    assert all(path.stat().st_mtime_ns == stat.st_mtime_ns for path, stat in before.items())
    assert second.said[-1].startswith("unchanged")


@pytest.mark.parametrize(
    "name",
    [
        "bundle.json",
        "model.onnx",
        "model.weights",
        "model.words",
        "tokenizer.json",
        "vocabulary.txt",
    ],
)
def test_a_bundle_that_was_damaged_is_not_called_built(make: Build, name: str) -> None:
    damaged = make(Checkpoint()).folder / name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    with pytest.raises(Refusal, match=name) as caught:
        make(Checkpoint())
    assert caught.value.code == "output.damaged"


def test_nothing_is_left_beside_the_bundle(make: Build, output: Path) -> None:
    make(Checkpoint())
    make(Checkpoint())
    assert [path.name for path in output.rglob(".*")] == []


def test_the_link_is_relative_and_follows_the_last_build(make: Build, output: Path) -> None:
    first = make(Checkpoint(seed=1)).folder
    link = output / "default"
    assert str(link.readlink()) == f"tiny-model/{first.name}"
    second = make(Checkpoint(seed=2)).folder
    assert str(link.readlink()) == f"tiny-model/{second.name}"
    assert first.is_dir()


def test_a_folder_in_place_of_the_link_is_not_replaced(make: Build, output: Path) -> None:
    (output / "default").mkdir(parents=True)
    with pytest.raises(Refusal, match="is not a link") as caught:
        make(Checkpoint())
    assert caught.value.code == "output.name"


@pytest.mark.parametrize("option", ["name", "link"])
@pytest.mark.parametrize("value", ["abc\n", "\nabc", "a\x1b[31m", "../up", "", "A"])
def test_a_name_is_checked_to_its_end(
    tmp_path: Path, output: Path, option: str, value: str
) -> None:
    (folder := tmp_path / "model").mkdir()
    Checkpoint().write(folder)
    names = {"name": "tiny", "link": "default"} | {option: value}
    with pytest.raises(Refusal) as caught:
        build(Order(f"folder:{folder}", None, output, names["link"], names["name"]), print)
    assert caught.value.code == "output.name"
    assert not output.exists()


def killed_build(folder: Path, output: Path, function: str) -> None:
    """Builds in a process that is killed when it comes to `function` of pathlib.Path."""
    program = f"""
        import os, pathlib, signal, sys
        from semblance_model.cli import main

        def die(self, target):
            os.kill(os.getpid(), signal.SIGKILL)

        pathlib.Path.{function} = die
        main(["build", "--source", {str(folder)!r}, "--output", {str(output)!r}])
    """
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "model" / "src")},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr.decode()


def test_a_build_killed_before_the_rename_leaves_nothing_visible(
    make: Build, tmp_path: Path, output: Path
) -> None:
    folder = Checkpoint().write(tmp_path / "tiny-model")
    killed_build(folder, output, "rename")
    assert visible(output) == ["tiny-model"]
    hidden = list((output / "tiny-model").iterdir())
    assert len(hidden) == 1
    assert (hidden[0] / "bundle.json").is_file(), "the build was killed too early to prove it"
    bundle = make(Checkpoint())
    assert list((output / "tiny-model").iterdir()) == [bundle.folder], "the next build cleans up"


def test_a_build_killed_before_the_link_leaves_the_old_link(
    make: Build, tmp_path: Path, output: Path
) -> None:
    first = make(Checkpoint(seed=1)).folder
    folder = Checkpoint(seed=2).write(tmp_path / "tiny-model")
    killed_build(folder, output, "replace")
    assert (output / "default").resolve() == first.resolve()


def test_a_build_that_still_runs_is_not_cleaned_up(make: Build, output: Path) -> None:
    with publish.staging(output / "tiny-model") as running:
        make(Checkpoint())
        assert running.is_dir()
    assert not running.exists()


def test_every_tensor_is_aligned_and_inside_the_file(make: Build) -> None:
    bundle = make(Checkpoint(labels=1))
    size = bundle.manifest["files"]["weights"]["size_bytes"]
    model = onnx.load(bundle.folder / "model.onnx", load_external_data=False)
    spans = []
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"] == "model.weights"
        spans.append((int(place["offset"]), int(place["length"]), tensor.name))
    spans.sort()
    assert all(offset % 64 == 0 for offset, _, _ in spans)
    assert all(a + n <= b for (a, n, _), (b, _, _) in pairwise(spans))
    offset, length, _ = spans[-1]
    assert offset + length == size


def test_the_table_of_words_is_a_file_of_its_own(make: Build) -> None:
    model = Checkpoint()
    bundle = make(model)
    table = np.fromfile(bundle.folder / "model.words", "<f4").reshape(model.vocabulary, -1)
    assert (table == model.tensors["embeddings.word_embeddings.weight"]).all()


def test_the_graph_names_no_place_and_no_version(make: Build, tmp_path: Path) -> None:
    model = onnx.load(make(Checkpoint()).folder / "model.onnx", load_external_data=False)
    assert (model.doc_string, model.graph.doc_string, model.producer_version) == ("", "", "")
    assert not model.metadata_props
    assert str(tmp_path) not in str(model)
