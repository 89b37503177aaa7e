"""Publishes a bundle atomically: written to a temporary folder, synced and renamed."""

import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semblance_model.manifest import MANIFEST_FILE, digest_of
from semblance_model.refusal import Refusal
from semblance_model.source import sha256_of

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_STAGING_PREFIX = ".building-"


def check_name(option: str, name: str) -> str:
    """`name`, if it is valid for a folder of bundles or a link."""
    if not _MODEL_NAME.fullmatch(name):
        raise Refusal(
            "output.name",
            f"{option} {name!r}: expected 1 to 64 characters of a-z, 0-9, dot, underscore and "
            "hyphen, starting with a letter or digit",
        )
    return name


@contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, removed at the end of the block unless it was renamed.

    The folder is locked while its process runs. An unlocked folder is left from a killed build
    and is removed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=parent))
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def publish(folder: Path, manifest: bytes) -> tuple[Path, bool]:
    """Completes a staged folder with its manifest and renames it to its digest.

    Returns the bundle's folder and whether it is new. An existing bundle is checked against its
    digest and not changed.
    """
    (folder / MANIFEST_FILE).write_bytes(manifest)
    for file in sorted(folder.iterdir()):
        file.chmod(0o644)
        _sync(file)
    folder.chmod(0o755)
    _sync(folder)
    target = folder.parent / digest_of(manifest)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        _check_published(target, manifest)
        return target, False
    _sync(target.parent)
    return target, True


def link(output: Path, name: str, target: Path) -> Path:
    """Points the link `name` in `output` to a bundle's folder, atomically."""
    path = output / name
    if path.exists() and not path.is_symlink():
        raise Refusal("output.name", f"{path}: exists and is not a link")
    with tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=output) as scratch:
        new = Path(scratch) / name
        new.symlink_to(os.path.relpath(target, output))
        new.replace(path)
    _sync(output)
    return path


def _check_published(target: Path, manifest: bytes) -> None:
    damaged = None
    if (target / MANIFEST_FILE).read_bytes() != manifest:
        damaged = MANIFEST_FILE
    else:
        for file in json.loads(manifest)["files"].values():
            path = target / file["path"]
            if not path.is_file() or sha256_of(path) != file["sha256"]:
                damaged = file["path"]
                break
    if damaged is not None:
        raise Refusal(
            "output.damaged",
            f"{target}: {damaged} does not match the digest; remove the folder and build again",
        )


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_STAGING_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
