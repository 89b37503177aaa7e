"""Weights in every form: several files, pickles of torch, and files that are not weights."""

import contextlib
import io
import json
import pickle
import shutil
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ml_dtypes
import pytest
from safetensors.numpy import save_file

from checkpoint import TINY, Checkpoint
from conftest import Build
from semblance_model.refusal import Refusal

DATA = Path(__file__).parent / "data"

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n"


def without_weights() -> Checkpoint:
    model = Checkpoint(**TINY)
    model.tensors = {}
    return model


def weights_of(make: Build, model: Checkpoint) -> Any:
    return make(model).manifest["files"]["weights"]["sha256"]


def refused(make: Build, folder: Path, file: str, content: bytes) -> Refusal:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    with pytest.raises(Refusal) as found:
        make(without_weights())
    return found.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-model"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("file", ["tiny.bin", "tiny-legacy.bin"])
def test_a_pickle_gives_the_same_weights(make: Build, folder: Path, file: str) -> None:
    expected = weights_of(make, Checkpoint(**TINY))
    (folder / "model.safetensors").unlink()
    shutil.copy(DATA / file, folder / "pytorch_model.bin")
    assert weights_of(make, without_weights()) == expected


def test_parameters_parts_and_transposed_tensors_are_read(make: Build, folder: Path) -> None:
    narrow = Checkpoint(**TINY)
    narrow.tensors = {
        name: values.astype(ml_dtypes.bfloat16) for name, values in narrow.tensors.items()
    }
    expected = weights_of(make, narrow)
    (folder / "model.safetensors").unlink()
    shutil.copy(DATA / "tiny-mixed.bin", folder / "pytorch_model.bin")
    assert weights_of(make, without_weights()) == expected


def test_safetensors_is_preferred(make: Build, folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not read")
    assert make(Checkpoint(**TINY)).folder.is_dir()


def sharded(folder: Path, model: Checkpoint) -> dict[str, str]:
    names = sorted(model.tensors)
    halves = (names[::2], names[1::2])
    files: dict[str, str] = {}
    for index, half in enumerate(halves):
        file = f"model-0000{index + 1}-of-00002.safetensors"
        save_file({name: model.tensors[name] for name in half}, folder / file)
        files |= dict.fromkeys(half, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return files


def test_weights_in_several_files_are_the_same_weights(make: Build, folder: Path) -> None:
    whole = Checkpoint(**TINY)
    expected = make(whole)
    (folder / "model.safetensors").unlink()
    sharded(folder, whole)
    found = make(without_weights())
    same = found.manifest["files"]["weights"] == expected.manifest["files"]["weights"]
    assert same
    assert found.manifest["revision"] != expected.manifest["revision"]


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "model-3.safetensors"}, "model-3.safetensors is missing"),
        ({"a": 3}, "weight_map is 3"),
        ({"a": "../model.safetensors"}, "outside the model's folder"),
        ({}, "weight_map is empty"),
        (None, "weight_map is empty"),
        ("x", "expected an object"),
    ],
)
def test_an_index_of_other_files_is_refused(
    make: Build, folder: Path, weight_map: Any, message: str
) -> None:
    index = json.dumps({"weight_map": weight_map}).encode()
    assert message in str(refused(make, folder, "model.safetensors.index.json", index))


class Ran(Exception):
    """Raised by what a hostile pickle calls, if it is called."""


class Hostile:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def archived(content: bytes, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in members.items():
            archive.writestr(f"archive/{name.replace('_', '/')}", data)
    return buffer.getvalue()


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((exec, "raise SystemExit"), "builtins.exec"),
        ((__import__, "os"), "builtins.__import__"),
        ((getattr, OrderedDict, "fromkeys"), "builtins.getattr"),
        ((shutil.rmtree, "/nonexistent"), "shutil.rmtree"),
    ],
)
def test_a_pickle_that_calls_something_is_refused_and_not_run(
    make: Build, folder: Path, is_archive: bool, call: tuple[Any, ...], name: str
) -> None:
    content = pickle.dumps({"a": Hostile(*call)}, protocol=2)
    content = archived(content) if is_archive else content
    refusal = refused(make, folder, "pytorch_model.bin", content)
    assert refusal.code == "model.weights_format"
    expected = name.replace("builtins", "__builtin__")
    assert expected in str(refusal) or name in str(refusal)
    assert "nothing of it was run" in str(refusal)


def tensor(offset: Any, shape: Any, strides: Any, length: Any = 4, key: Any = "0") -> bytes:
    """A pickle of one tensor, written manually: protocol 2 as torch writes it."""

    def number(value: Any) -> bytes:
        return b"J" + struct.pack("<i", value) if isinstance(value, int) else b"X\1\0\0\0x"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def numbers(values: Any) -> bytes:
        return b"(" + b"".join(number(it) for it in values) + b"t"

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += number(length) + b"tQ"
    arguments = b"(" + storage + number(offset) + numbers(shape) + numbers(strides) + b"\x89Nt"
    return b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


DAMAGED = {
    "empty": (b"", "or damaged"),
    "a zip by its start": (b"PK\3\4 not really", "or damaged"),
    "a pickle of a number": (b"\x80\x02K\1.", "does not start like a file of torch"),
    "an empty pickle": (archived(b""), "or damaged"),
    "a list": (archived(pickle.dumps([1], protocol=2)), "not a dictionary"),
    "a start too far": (archived(tensor(1, [4], [1])), "a tensor exceeds its storage"),
    "too long": (archived(tensor(0, [2, 3], [1, 1], 3)), "a tensor exceeds its storage"),
    "a negative start": (archived(tensor(-1, [4], [1])), "integers of 0 or more"),
    "a negative length": (archived(tensor(0, [-4], [1])), "integers of 0 or more"),
    "a negative step": (archived(tensor(0, [4], [-1])), "integers of 0 or more"),
    "a word for a step": (archived(tensor(0, [4], ["x"])), "integers of 0 or more"),
    "too few steps": (archived(tensor(0, [4, 4], [1])), "not a tensor"),
    "a word for a length": (archived(tensor(0, [4], [1], "x")), "not a storage"),
    "big-endian": (archived(tensor(0, [4], [1]), byteorder=b"big"), "not little-endian"),
    "another model": (
        archived(tensor(0, [4], [1])),
        "tensor embeddings.word_embeddings.weight is missing",
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_pickle_is_refused(make: Build, folder: Path, what: str) -> None:
    content, message = DAMAGED[what]
    refusal = refused(make, folder, "pytorch_model.bin", content)
    assert message in str(refusal)
    assert refusal.code in ("model.weights_format", "model.tensor_missing")


@pytest.mark.parametrize("file", ["tiny.bin", "tiny-legacy.bin"])
def test_a_cut_pickle_is_refused_at_every_length(make: Build, folder: Path, file: str) -> None:
    content = (DATA / file).read_bytes()
    for length in range(0, len(content), 397):
        refusal = refused(make, folder, "pytorch_model.bin", content[:length])
        assert refusal.code in ("model.weights_format", "model.tensor_missing"), length


def test_a_flipped_byte_is_refused_or_read(make: Build, folder: Path) -> None:
    content = (DATA / "tiny.bin").read_bytes()
    for place in range(0, len(content), 173):
        flipped = bytearray(content)
        flipped[place] ^= 0x55
        (folder / "pytorch_model.bin").write_bytes(flipped)
        # Anything but a refusal fails the test.
        with contextlib.suppress(Refusal):
            make(without_weights())


@pytest.mark.parametrize(
    "file",
    [
        "modules.json",
        "config.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
    ],
)
def test_a_git_lfs_pointer_is_named_whatever_the_file(make: Build, file: str) -> None:
    model = Checkpoint()
    model.files[file] = LFS_POINTER
    with pytest.raises(Refusal, match="git lfs pull") as found:
        make(model)
    assert found.value.code == "source.lfs_pointer"
    assert str(found.value).startswith(file)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"]
)
def test_weights_that_are_a_git_lfs_pointer_are_named(make: Build, folder: Path, file: str) -> None:
    refusal = refused(make, folder, file, LFS_POINTER.encode())
    assert refusal.code == "source.lfs_pointer"
    assert file in str(refusal)


@pytest.mark.parametrize("file", ["tf_model.h5", "flax_model.msgpack"])
def test_other_weights_are_named(make: Build, folder: Path, file: str) -> None:
    refusal = refused(make, folder, file, b"x")
    assert refusal.code == "model.weights_format"
    assert f"{file}: this weight format is not supported" in str(refusal)
