"""Packages a Lambda function: bootstrap, library and licenses in one reproducible, checked zip.

Amazon Linux 2023, which `provided.al2023` runs, has glibc 2.34. A binary that asks for a newer
symbol would fail at its first start, so the packaging fails instead.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import arm64
import deflated_zip
import licenses

GLIBC_OF_AMAZON_LINUX_2023 = (2, 34)
# The zip that a cold start downloads and unpacks.
LIMIT_BYTES = 16_000_000
# The licenses of what the zip contains.
NOTICES = "THIRD_PARTY.txt"
LOCK = Path("requirements.txt")
COMPRESSED = Path("build/compressed")
ONNXRUNTIME = importlib.metadata.version("onnxruntime")
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
WHEEL_PLATFORMS = {"arm64": "manylinux_2_28_aarch64", "x86_64": "manylinux_2_28_x86_64"}
# `authorizer` needs no feature that `similarity` lacks, so their dependencies are compiled once.
SHARED = ("authorizer", "similarity")
LIBRARY_IN_WHEEL = f"onnxruntime/capi/libonnxruntime.so.{ONNXRUNTIME}"


class PackageError(Exception):
    """A package could not be built."""


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    library = commands.add_parser("library", help="copy ONNX Runtime out of the installed wheel")
    library.add_argument("--output", type=Path, required=True)
    build = commands.add_parser("build", help="build a binary for Lambda and zip it")
    build.add_argument("--bin", required=True)
    build.add_argument("--profile", default="release")
    build.add_argument("--arch", choices=sorted(TARGETS), default="x86_64")
    build.add_argument("--with-library", action="store_true")
    build.add_argument("--output", type=Path, required=True)
    report = commands.add_parser("report", help="print the contents of a zip")
    report.add_argument("--zip", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "library":
                install_library(arguments.output)
            case "build":
                build_zip(arguments)
            case _:
                print_report(arguments.zip)
    except (PackageError, licenses.LicenseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def install_library(output: Path) -> None:
    """Copies ONNX Runtime out of the installed wheel."""
    source = Path(sysconfig.get_paths()["platlib"]) / LIBRARY_IN_WHEEL
    if not source.is_file():
        raise PackageError(f"{source} is missing: is onnxruntime=={ONNXRUNTIME} installed?")
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_suffix(".new")
    shutil.copyfile(source, beside)
    beside.replace(output)


def build_zip(arguments: argparse.Namespace) -> None:
    """Builds a binary for Amazon Linux 2023 and zips it, with the library if asked."""
    bootstrap = cross_build(arguments.bin, arguments.profile, arguments.arch)
    check_glibc("bootstrap", bootstrap)
    members = [deflated_zip.compress("bootstrap", bootstrap, 0o755)]
    if arguments.with_library:
        name = "lib/libonnxruntime.so"
        with tempfile.TemporaryDirectory() as scratch:
            library = library_for(arguments.arch, Path(scratch))
            check_glibc(name, library)
            members.append(deflated_zip.compress(name, library, 0o755, cache=COMPRESSED))
    with tempfile.TemporaryDirectory() as scratch:
        notices = Path(scratch) / NOTICES
        package, target = f"semblance-{arguments.bin}", TARGETS[arguments.arch]
        text = licenses.third_party(package, target, with_library=arguments.with_library)
        notices.write_text(text, encoding="utf-8")
        members.append(deflated_zip.compress(NOTICES, notices, 0o644))
    deflated_zip.write(arguments.output, members)
    size = arguments.output.stat().st_size
    if size > LIMIT_BYTES:
        raise PackageError(f"{arguments.output} has {size} bytes, the limit is {LIMIT_BYTES}")


def has_target(arch: str) -> bool:
    """Returns whether the Rust toolchain can build for an architecture."""
    sysroot = subprocess.run(
        ["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return (Path(sysroot) / "lib/rustlib" / TARGETS[arch]).is_dir()


def cross_build(binary: str, profile: str, arch: str) -> Path:
    """Builds with zig as the linker, against an old glibc; returns the executable."""
    # The packages as well, so that other members of the workspace do not add features.
    options = ["--locked", "--profile", profile, "--quiet", "--target", TARGETS[arch]]
    for name in SHARED if binary in SHARED else (binary,):
        options += ["--package", f"semblance-{name}"]
    options += ["--bin", binary]
    if has_target(arch):
        lambda_dir = Path("target/lambda-build") / arch
        # Builds of a profile share what they compile, so they need the same links to the linker.
        # Two that start at once would both make the links, and one would fail.
        links = Path("target/zigbuild", profile).absolute()
        cache = {"CARGO_ZIGBUILD_CACHE_DIR": str(links)}
        command = ["cargo", "lambda", "build", *options, "--lambda-dir", str(lambda_dir)]
        with alone_in(links):
            _build({**os.environ, **cache}, *command)
        return lambda_dir / binary / "bootstrap"
    tools = arm64.FOLDER.absolute()
    if arch != "arm64" or not arm64.is_installed(tools):
        raise PackageError(
            f"the Rust target {TARGETS[arch]} is not installed: `rustup target add "
            f"{TARGETS[arch]}`, or on Debian 12 `python scripts/arm64.py` for arm64"
        )
    # Another compiler: its build scripts do not replace those of the toolchain.
    target_dir = Path("target/arm64")
    _build(arm64.environment(tools), "cargo", "build", *options, "--target-dir", str(target_dir))
    return target_dir / TARGETS[arch] / profile / binary


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process has the folder, and keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(environment: Mapping[str, str], *command: str) -> None:
    # The messages of panics have the paths of sources. Those of the workspace are relative; with
    # those of other crates, the bytes would depend on the home folder.
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], check=False)
    home = Path(environment.get("CARGO_HOME", Path.home() / ".cargo")).absolute()
    sources = sorted((home / "registry/src").glob("*"))
    flags = [f"--remap-path-prefix={source}=crates" for source in sources]
    encoded = "\x1f".join([*environment.get("RUSTFLAGS", "").split(), *flags])
    environment = {**environment, "CARGO_ENCODED_RUSTFLAGS": encoded}
    if subprocess.run(command, check=False, env=environment).returncode != 0:
        raise PackageError(f"{' '.join(command)} failed")


def library_for(arch: str, scratch: Path) -> Path:
    """Returns ONNX Runtime for an architecture, downloaded if it is not this machine's."""
    if arch == os.uname().machine.replace("aarch64", "arm64"):
        return Path("build/lib/libonnxruntime.so")
    pinned = scratch / "onnxruntime.txt"
    pinned.write_text(locked("onnxruntime"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--platform", WHEEL_PLATFORMS[arch], "--only-binary=:all:"]
    command += ["--requirement", str(pinned), "--dest", str(scratch)]
    if subprocess.run(command, check=False).returncode != 0:
        raise PackageError(f"onnxruntime=={ONNXRUNTIME} for {arch} cannot be downloaded")
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(LIBRARY_IN_WHEEL, scratch))


def locked(package: str) -> str:
    """Returns the entry of a package in the lock: its version and hashes."""
    entry = re.search(rf"^{package}==.*?[^\\]\n", LOCK.read_text(), re.MULTILINE | re.DOTALL)
    if entry is None:
        raise PackageError(f"{LOCK} does not pin {package}")
    return entry.group()


def glibc_needed(path: Path) -> tuple[int, ...]:
    """Returns the highest glibc version that an ELF file requires."""
    # Version names are plain text in the file's string table.
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def check_glibc(name: str, path: Path) -> None:
    """Fails if a file needs a newer glibc than Amazon Linux 2023 has."""
    needed = glibc_needed(path)
    if needed > GLIBC_OF_AMAZON_LINUX_2023:
        raise PackageError(
            f"{name} needs glibc {dotted(needed)}, "
            f"Amazon Linux 2023 has {dotted(GLIBC_OF_AMAZON_LINUX_2023)}"
        )


def print_report(path: Path) -> None:
    """Prints the size of a zip, of its members, and the glibc each needs."""
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as scratch:
        for entry in archive.infolist():
            needed = dotted(glibc_needed(Path(archive.extract(entry, scratch))))
            sizes = f"{entry.file_size / 1e6:6.2f} MB, zipped {entry.compress_size / 1e6:5.2f} MB"
            print(f"  {entry.filename:24} {sizes}, glibc {needed}")


def dotted(version: tuple[int, ...]) -> str:
    """Returns a version as text."""
    return ".".join(str(part) for part in version)


if __name__ == "__main__":
    sys.exit(main())
