"""Layers: their zips, extracted one over the other as a function sees them in /opt."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def extracted(backend: Any, arns: Sequence[str], folder: Path) -> Path:
    """The folder that holds these layer versions; a deleted version stays for who uses it."""
    target = folder / hashlib.sha256(" ".join(arns).encode()).hexdigest()[:16]
    if target.is_dir():
        return target
    target.mkdir(parents=True)
    for arn in arns:
        version = backend.layers_versions_by_arn(arn)
        with zipfile.ZipFile(io.BytesIO(version.code_bytes)) as archive:
            archive.extractall(target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755)
    return target
