"""Tensors that torch pickled (`pytorch_model.bin`), read without torch; nothing in them is run.

A pickle is a program. The reader here knows the few names that a file of tensors needs, each
replaced by its own function that only describes a tensor; any other name is an error.

Two formats exist: a zip archive with one member for each storage (torch 1.6 and newer), and several
pickles followed by the storages.
"""

import collections
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from semblance_model.refusal import Refusal

# Class of a storage -> type as safetensors names it, and as numpy does.
_STORAGES: Mapping[str, tuple[str, Any]] = {
    "FloatStorage": ("F32", np.dtype("<f4")),
    "HalfStorage": ("F16", np.dtype("<f2")),
    "BFloat16Storage": ("BF16", np.dtype(ml_dtypes.bfloat16)),
    "DoubleStorage": ("F64", np.dtype("<f8")),
    "LongStorage": ("I64", np.dtype("<i8")),
    "IntStorage": ("I32", np.dtype("<i4")),
    "ShortStorage": ("I16", np.dtype("<i2")),
    "CharStorage": ("I8", np.dtype("i1")),
    "ByteStorage": ("U8", np.dtype("u1")),
    "BoolStorage": ("BOOL", np.dtype("?")),
}

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

# What a damaged or hostile file makes the unpickler and the reader of archives raise.
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


class _Kind(NamedTuple):
    """The class of a storage."""

    name: str


class _Storage(NamedTuple):
    """A storage that a pickle refers to: `length` values of `kind`."""

    key: str
    kind: _Kind
    length: int


class _Tensor(NamedTuple):
    """A part of a storage: first value, shape and steps, all in values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class PickledTensors:
    """The tensors of one file."""

    def __init__(
        self, file: str, tensors: dict[str, _Tensor], read: Callable[[_Storage], NDArray[Any]]
    ) -> None:
        self._file = file
        self._tensors = tensors
        self._read = read

    @classmethod
    @contextmanager
    def open(cls, name: str, path: Path) -> Iterator["PickledTensors"]:
        """Opens a file; raises `Refusal` if it is damaged or more than tensors."""
        with ExitStack() as stack:
            with _refusing(name):
                if zipfile.is_zipfile(path):
                    archive = stack.enter_context(zipfile.ZipFile(path))
                    tensors = cls._from_archive(name, archive)
                else:
                    file = stack.enter_context(path.open("rb"))
                    tensors = cls._from_pickles(name, file, path.stat().st_size)
            yield tensors

    def names(self) -> Collection[str]:
        return self._tensors.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def dtype(self, name: str) -> str:
        return _STORAGES[self._tensors[name].storage.kind.name][0]

    def values(self, name: str) -> NDArray[Any]:
        tensor = self._tensors[name]
        with _refusing(self._file):
            values = self._read(tensor.storage)[tensor.offset :]
        return np.lib.stride_tricks.as_strided(
            values,
            tensor.shape,
            [stride * values.itemsize for stride in tensor.strides],
            writeable=False,
        )

    @classmethod
    def _from_archive(cls, name: str, archive: zipfile.ZipFile) -> "PickledTensors":
        members = [it for it in archive.namelist() if it.rsplit("/", 1)[-1] == "data.pkl"]
        if len(members) != 1:
            raise _damaged(name, f"expected one data.pkl, found {len(members)}")
        root = members[0].removesuffix("data.pkl")
        present = set(archive.namelist())
        order = f"{root}byteorder"
        if order in present and archive.read(order) != b"little":
            raise _damaged(name, "its byte order is not little-endian")

        def read(storage: _Storage) -> NDArray[Any]:
            member = f"{root}data/{storage.key}"
            if member not in present:
                raise _damaged(name, f"the storage {member} is missing")
            # torch does not compress; a compressed member may be far larger than the file.
            if archive.getinfo(member).compress_type != zipfile.ZIP_STORED:
                raise _damaged(name, f"the storage {member} is compressed")
            dtype = _STORAGES[storage.kind.name][1]
            values = np.frombuffer(archive.read(member), dtype)
            if len(values) < storage.length:
                raise _damaged(name, f"the storage {member} is too short")
            return values

        with archive.open(members[0]) as file:
            return cls(name, _tensors(name, _load(name, file)), read)

    @classmethod
    def _from_pickles(cls, name: str, file: BinaryIO, size: int) -> "PickledTensors":
        if _load(name, file) != _LEGACY_MAGIC:
            raise _damaged(name, "it does not start like a file of torch")
        if _load(name, file) != _LEGACY_PROTOCOL:
            raise _damaged(name, "its protocol is not 1001")
        system = _load(name, file)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise _damaged(name, "its byte order is not little-endian")
        tensors = _tensors(name, _load(name, file))
        keys = _load(name, file)
        if not isinstance(keys, list):
            raise _damaged(name, "the list of storages is missing")
        kinds = {it.storage.key: it.storage for it in tensors.values()}
        starts: dict[str, int] = {}
        for key in keys:
            count = int.from_bytes(file.read(8), "little")
            starts[key] = file.tell()
            if key not in kinds:
                raise _damaged(name, f"the storage {key!r} belongs to no tensor")
            storage = kinds[key]
            if count < storage.length:
                raise _damaged(name, f"the storage {key!r} is too short")
            file.seek(count * _STORAGES[storage.kind.name][1].itemsize, 1)
            if file.tell() > size:
                raise _damaged(name, "it ends within a storage")

        def read(storage: _Storage) -> NDArray[Any]:
            if storage.key not in starts:
                raise _damaged(name, f"the storage {storage.key!r} is missing")
            file.seek(starts[storage.key])
            return np.fromfile(file, _STORAGES[storage.kind.name][1], storage.length)

        return cls(name, tensors, read)


class _Unpickler(pickle.Unpickler):
    """Knows the names that tensors need; `name` is the file's."""

    def __init__(self, name: str, file: Any) -> None:
        super().__init__(file, encoding="utf-8")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _rebuild_tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _rebuild_parameter
        if module == "torch" and name in _STORAGES:
            return _Kind(name)
        raise Refusal(
            "model.weights_format",
            f"{self._name}: the pickle uses {module}.{name}, which no tensor needs; nothing of it "
            "was run: save the model with safetensors",
        )

    def persistent_load(self, identity: Any) -> _Storage:
        kind, *rest = identity
        storage, key, _device, count = rest[:4]
        if kind != "storage" or not isinstance(storage, _Kind) or not isinstance(count, int):
            raise pickle.UnpicklingError("not a storage")
        return _Storage(str(key), storage, count)


def _rebuild_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *_gradient_and_hooks: Any
) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("not a tensor")
    if any(isinstance(it, bool) or not isinstance(it, int) or it < 0 for it in numbers):
        raise pickle.UnpicklingError("a tensor has sizes that are not integers of 0 or more")
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and offset + last >= storage.length:
        raise pickle.UnpicklingError("a tensor exceeds its storage")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: Any, *_gradient_and_hooks: Any) -> Any:
    return tensor


def _load(name: str, file: Any) -> Any:
    return _Unpickler(name, file).load()


def _tensors(name: str, value: Any) -> dict[str, _Tensor]:
    """The tensors of a state dict, which may be the value `state_dict` of a training checkpoint."""
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict):
        raise _damaged(name, "it is not a dictionary of tensors")
    return {
        key: tensor
        for key, tensor in value.items()
        if isinstance(key, str) and isinstance(tensor, _Tensor)
    }


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Raises `Refusal` for what a damaged or hostile file makes other code raise."""
    try:
        yield
    except _ERRORS as error:
        raise _damaged(name, error) from error


def _damaged(name: str, reason: object) -> Refusal:
    return Refusal(
        "model.weights_format", f"{name}: not a checkpoint of torch, or damaged: {reason}"
    )
