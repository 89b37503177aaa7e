"""Zips of functions. Each is extracted once, for all environments that run it."""

import hashlib
import io
import threading
import zipfile
from pathlib import Path

_lock = threading.Lock()


def extracted(package: bytes, folder: Path) -> Path:
    """The folder with the files of a zip, which functions see read-only."""
    target = folder / hashlib.sha256(package).hexdigest()[:16]
    with _lock:
        if not target.is_dir():
            _extract(package, target)
    return target


def _extract(package: bytes, target: Path) -> None:
    part = target.with_suffix(".part")
    part.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        archive.extractall(part)
        for entry in archive.infolist():
            if not entry.is_dir():
                # Lambda keeps the modes of the zip; a zip without any gets readable files.
                mode = entry.external_attr >> 16 & 0o777
                (part / entry.filename).chmod(mode or 0o644)
    part.chmod(0o755)
    part.rename(target)
