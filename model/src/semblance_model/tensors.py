"""The tensors of a checkpoint by name: safetensors or a pickle of torch, one file or several."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from semblance_model.field import Fields, read_fields
from semblance_model.pickled import PickledTensors
from semblance_model.refusal import Refusal

WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE_FILE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"


class Checkpoint(NamedTuple):
    """The files of a checkpoint: `paths` by the names that its folder gives them."""

    paths: Mapping[str, Path]
    is_pickled: bool

    @property
    def first(self) -> Path:
        """The file that identifies the checkpoint: its only one, or the first of several."""
        return self.paths[min(self.paths)]

    @property
    def name(self) -> str:
        """The name for errors: of the only file, or of the first."""
        return min(self.paths)


class Tensors(Protocol):
    """Named tensors. Shapes and types are known without reading values."""

    def names(self) -> Collection[str]:
        """The name of every tensor."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""

    def dtype(self, name: str) -> str:
        """Type of a tensor, as safetensors names it, such as F32."""

    def values(self, name: str) -> NDArray[Any]:
        """Values of a tensor."""


def find_checkpoint(path_of: Callable[[str], Path | None]) -> Checkpoint | None:
    """The checkpoint in a folder, whose files `path_of` finds; safetensors is preferred.

    Raises `Refusal` if an index of several files is invalid or names a file that is missing.
    """
    for file, index, is_pickled in (
        (WEIGHTS_FILE, WEIGHTS_INDEX, False),
        (PICKLE_FILE, PICKLE_INDEX, True),
    ):
        path = path_of(file)
        if path is not None:
            return Checkpoint({file: path}, is_pickled)
        path = path_of(index)
        if path is not None:
            return Checkpoint(_shards(read_fields(index, path), path_of), is_pickled)
    return None


def _shards(index: Fields, path_of: Callable[[str], Path | None]) -> dict[str, Path]:
    files = index.section("weight_map").values
    paths: dict[str, Path] = {}
    for tensor, file in files.items():
        if not isinstance(file, str):
            raise index.invalid("weight_map", file, f"the name of a file for {tensor}")
        if file in paths:
            continue
        path = path_of(file)
        if path is None:
            raise Refusal("source.file_missing", f"{file} is missing; {index.file} names it")
        paths[file] = path
    if not paths:
        raise Refusal("model.missing_field", f"{index.file}: field weight_map is empty")
    return paths


@contextmanager
def open_tensors(checkpoint: Checkpoint) -> Iterator[Tensors]:
    """Opens every file of a checkpoint; raises `Refusal` if one is not of its format."""
    with ExitStack() as stack:
        files: list[Tensors] = []
        for name, path in checkpoint.paths.items():
            if checkpoint.is_pickled:
                files.append(stack.enter_context(PickledTensors.open(name, path)))
            else:
                files.append(stack.enter_context(_open_safetensors(name, path)))
        yield files[0] if len(files) == 1 else _Files(files)


@contextmanager
def _open_safetensors(name: str, path: Path) -> Iterator[Tensors]:
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise Refusal("model.weights_format", f"{name}: not safetensors: {error}") from error
    with file as opened:
        yield _Safetensors(opened)


class _Safetensors:
    """One safetensors file."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._names = set(file.keys())

    def names(self) -> Collection[str]:
        return self._names

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(name).get_shape())

    def dtype(self, name: str) -> str:
        return str(self._file.get_slice(name).get_dtype())

    def values(self, name: str) -> NDArray[Any]:
        return np.asarray(self._file.get_tensor(name))


class _Files:
    """Several files; a name belongs to the last file that has it."""

    def __init__(self, files: list[Tensors]) -> None:
        self._files = {name: file for file in files for name in file.names()}

    def names(self) -> Collection[str]:
        return self._files.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._files[name].shape(name)

    def dtype(self, name: str) -> str:
        return self._files[name].dtype(name)

    def values(self, name: str) -> NDArray[Any]:
        return self._files[name].values(name)
