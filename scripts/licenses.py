"""The licenses of what a package contains: one text file with every notice.

The crates come from `cargo metadata`: those that the binary is built from, for its target. A crate
that offers Apache-2.0 is used under it, and the text of that license is written once. The licenses
of other crates are in their sources, with their own copyright lines.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APACHE = "Apache-2.0"
# Names of files with a license or a notice.
LICENSE_FILE = re.compile(r"(licen[cs]e|copying|unlicense)([-._].*)?", re.IGNORECASE)
NOTICE_FILE = re.compile(r"notice([-._].*)?", re.IGNORECASE)
LINE = "-" * 80
# Texts for crates whose sources have none, by SPDX identifier; {holders} are the authors.
MIT = """MIT License

Copyright (c) {holders}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class LicenseError(Exception):
    """A crate has no license text."""


@dataclass(frozen=True)
class Crate:
    """A crate that a binary is built from."""

    name: str
    version: str
    license: str
    authors: tuple[str, ...]
    folder: Path

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    def is_apache(self) -> bool:
        """Whether the crate can be used under Apache-2.0."""
        terms = re.sub(r"\s*/\s*", " OR ", self.license)
        return any(APACHE in option.strip("() ").split(" AND ") for option in terms.split(" OR "))

    def texts(self, pattern: re.Pattern[str]) -> list[str]:
        """The texts of the files whose names match a pattern."""
        files = sorted(it for it in self.folder.iterdir() if pattern.fullmatch(it.name))
        texts = [it.read_text(encoding="utf-8", errors="replace") for it in files if it.is_file()]
        return [tidy(text) for text in texts]


def tidy(text: str) -> str:
    """A text without blanks at the ends of lines, so that equal licenses are equal."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def crates(package: str, target: str) -> list[Crate]:
    """The crates of other authors that a package is built from."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    command += ["--filter-platform", target]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    metadata: dict[str, Any] = json.loads(output)
    packages = {it["id"]: it for it in metadata["packages"]}
    nodes = {it["id"]: it for it in metadata["resolve"]["nodes"]}
    (root,) = (it["id"] for it in metadata["packages"] if it["name"] == package)
    found, queue = {root}, [root]
    while queue:
        for dependency in nodes[queue.pop()]["deps"]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                queue.append(dependency["pkg"])
    members = set(metadata["workspace_members"])
    return sorted((crate_of(packages[it]) for it in found - members), key=lambda crate: crate.label)


def crate_of(package: dict[str, Any]) -> Crate:
    """The crate of an entry of `cargo metadata`."""
    folder = Path(package["manifest_path"]).parent
    terms = package["license"] or ""
    authors = tuple(re.sub(r"\s*<.*?>", "", author) for author in package["authors"])
    return Crate(package["name"], package["version"], terms, authors, folder)


def notices(found: list[Crate], apache: str) -> str:
    """The notices of crates; `apache` is the text of Apache-2.0."""
    by_text: dict[str, list[str]] = defaultdict(list)
    under_apache: list[str] = []
    for crate in found:
        if crate.is_apache():
            under_apache.append(crate.label)
            texts = crate.texts(NOTICE_FILE)
        else:
            texts = crate.texts(LICENSE_FILE) or [standard(crate)]
            texts += crate.texts(NOTICE_FILE)
        for text in texts:
            by_text[text].append(f"{crate.label} ({crate.license})")
    parts = [section("Under the Apache License 2.0:\n" + "\n".join(under_apache), apache)]
    parts += [section("\n".join(labels), text) for text, labels in by_text.items()]
    return "\n".join(parts)


def standard(crate: Crate) -> str:
    """The text of the license of a crate whose sources have none."""
    if "MIT" in re.split(r"\W+", crate.license):
        holders = ", ".join(crate.authors) or f"the authors of {crate.name}"
        return MIT.format(holders=holders)
    raise LicenseError(f"{crate.label}: no text of the license {crate.license!r}")


def section(title: str, text: str) -> str:
    """A part of the file."""
    return f"{LINE}\n{title}\n{LINE}\n{text}"


def third_party(package: str, target: str, *, with_library: bool) -> str:
    """The text for the package: its crates, the Rust standard library, and ONNX Runtime."""
    apache = tidy(Path("LICENSE").read_text(encoding="utf-8"))
    found = crates(package, target)
    parts = [
        "This package contains the software below, each part under its own license.\n",
        notices(found, apache),
        section(
            "The Rust standard library",
            "Copyright (c) The Rust Project Contributors, under the Apache License 2.0 above.\n",
        ),
    ]
    if with_library:
        for name in ("LICENSE", "ThirdPartyNotices.txt"):
            file = importlib.metadata.distribution("onnxruntime").locate_file(f"onnxruntime/{name}")
            text = Path(str(file)).read_text(encoding="utf-8", errors="replace")
            version = importlib.metadata.version("onnxruntime")
            parts.append(section(f"ONNX Runtime {version}: {name}", tidy(text)))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(third_party(sys.argv[1], sys.argv[2], with_library="--library" in sys.argv))
