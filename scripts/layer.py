"""Packs a model bundle into the zip of a Lambda layer, reproducibly.

The function sees it at /opt/bundles/MODEL/DIGEST. The zip is written to FOLDER/MODEL/DIGEST.zip;
FOLDER/default.zip points to the one that was written last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path

# Lambda's limit for a function and its layers after extraction, and what the function needs of it.
EXTRACTED_LIMIT_BYTES = 262_144_000
FUNCTION_RESERVE_BYTES = 45_000_000


class LayerError(Exception):
    """The bundle does not fit into a layer."""


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("--folder", type=Path, default=Path("target/lambda/layers"))
    arguments = parser.parse_args()
    try:
        print(pack(arguments.bundle, arguments.folder))
    except (LayerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def pack(bundle: Path, folder: Path) -> str:
    """Writes the zip of a bundle; returns a line with its path and sizes."""
    manifest = (bundle / "bundle.json").read_bytes()
    described = json.loads(manifest)
    names = sorted(["bundle.json", *(file["path"] for file in described["files"].values())])
    extracted = sum((bundle / name).stat().st_size for name in names)
    if extracted > EXTRACTED_LIMIT_BYTES - FUNCTION_RESERVE_BYTES:
        raise LayerError(
            f"{bundle} has {extracted} bytes; Lambda accepts {EXTRACTED_LIMIT_BYTES} of a function "
            f"and its layers, of which {FUNCTION_RESERVE_BYTES} are reserved for the function"
        )
    version = f"{described['model_name']}/{hashlib.sha256(manifest).hexdigest()}"
    target = folder / f"{version}.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_suffix(".new")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in names:
            # The same bytes for the same bundle: no time of the file system.
            entry = zipfile.ZipInfo(f"bundles/{version}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, (bundle / name).read_bytes())
    beside.replace(target)
    default = folder / "default.zip"
    default.unlink(missing_ok=True)
    default.symlink_to(target.relative_to(folder))
    zipped = target.stat().st_size
    return f"{target}: {zipped / 1e6:.2f} MB, {extracted / 1e6:.2f} MB extracted"


if __name__ == "__main__":
    sys.exit(main())
