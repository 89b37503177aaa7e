"""A compiler, a linker and an emulator for arm64, from Debian 12 and PyPI, in a separate folder.

For machines without rustup, or without access to its server. Debian 12 has a current Rust as
`rustc-web`, with the standard library for arm64; zig is the linker; qemu runs the result. Nothing
outside the folder changes, and root is not needed.

    python scripts/arm64.py --output build/arm64
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

FOLDER = Path("build/arm64")
TARGET = "aarch64-unknown-linux-gnu"
# The glibc of Amazon Linux 2023.
ZIG_TARGET = "aarch64-linux-gnu.2.34"
# Build scripts name the target in the way of Rust, which zig does not know.
WITHOUT_TARGET = """\
for argument do
    shift
    case $argument in --target=*) ;; *) set -- "$@" "$argument" ;; esac
done"""
# The processor of Graviton2, whose kernels ONNX Runtime selects.
CPU = "neoverse-n1"
# ONNX Runtime reads about the processor. qemu shows these files instead of the host's, which
# describe another architecture.
CPUINFO = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""
SYSTEM_FILES = {
    "proc/cpuinfo": CPUINFO,
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
    "sys/devices/system/cpu/online": "0\n",
    "sys/devices/system/cpu/kernel_max": "0\n",
    "sys/devices/system/cpu/cpu0/topology/core_id": "0\n",
    "sys/devices/system/cpu/cpu0/topology/core_siblings_list": "0\n",
    "sys/devices/system/cpu/cpu0/topology/physical_package_id": "0\n",
    "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0\n",
}


class ToolError(Exception):
    """The tools cannot be installed."""


def main() -> int:
    """Installs the tools; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    try:
        install(arguments.output.absolute())
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def install(folder: Path) -> None:
    """Downloads and extracts the packages, and writes the compiler and the linker."""
    root, packages = folder / "root", folder / "packages"
    for part in (
        root,
        packages,
        folder / "apt/lists/partial",
        folder / "apt/cache/archives/partial",
    ):
        part.mkdir(parents=True, exist_ok=True)
    apt = Apt(folder / "apt")
    apt.run("apt-get", "--quiet", "update")
    rust = _only(r"libstd-rust-web-(\d+\.\d+) ", apt.show("libstd-rust-web-dev:amd64"))
    llvm = _only(r"libllvm(\d+)\b", apt.show(f"libstd-rust-web-{rust}:amd64"))
    names = [
        *("rustc-web:amd64", f"libllvm{llvm}:amd64", "qemu-user-static:amd64"),
        *(f"libstd-rust-web-{rust}:{arch}" for arch in ("amd64", "arm64")),
        *(f"libstd-rust-web-dev:{arch}" for arch in ("amd64", "arm64")),
        *("libc6:arm64", "libgcc-s1:arm64", "libstdc++6:arm64"),
    ]
    apt.run("apt-get", "--quiet", "download", *names, cwd=packages)
    for package in sorted(packages.glob("*.deb")):
        _run("dpkg", "--extract", str(package), str(root))
        package.unlink()
    for name, content in SYSTEM_FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    _script(
        folder / "rustc",
        f"LD_LIBRARY_PATH={shlex.quote(str(libraries))} "
        f'exec {shlex.quote(str(root / "usr/bin/rustc"))} "$@"',
    )
    zig = f"exec {shlex.quote(sys.executable)} -m ziglang"
    _script(folder / "cc", f'{WITHOUT_TARGET}\n{zig} cc -target {ZIG_TARGET} "$@"')
    _script(folder / "ar", f'{zig} ar "$@"')


class Apt:
    """apt with separate lists, caches and architectures, and the sources of the machine."""

    def __init__(self, folder: Path):
        settings = {
            "APT::Architectures": "amd64,arm64",
            "APT::Sandbox::User": "root",
            "Dir::State::Lists": f"{folder}/lists",
            "Dir::Cache": f"{folder}/cache",
        }
        self._options = [part for item in settings.items() for part in ("-o", "=".join(item))]

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Runs a program of apt; returns its output."""
        return _run(program, *self._options, *arguments, cwd=cwd)

    def show(self, package: str) -> str:
        """Returns the description of a package."""
        return self.run("apt-cache", "show", "--no-all-versions", package)


def is_installed(folder: Path) -> bool:
    """Returns whether the tools are in a folder."""
    return (folder / "ar").is_file()


def environment(folder: Path) -> dict[str, str]:
    """Returns the variables with which cargo builds for arm64 with these tools."""
    variable = TARGET.replace("-", "_")
    return {
        **os.environ,
        "RUSTC": str(folder / "rustc"),
        f"CARGO_TARGET_{variable.upper()}_LINKER": str(folder / "cc"),
        f"CC_{variable}": str(folder / "cc"),
        f"AR_{variable}": str(folder / "ar"),
    }


def emulator(folder: Path) -> list[str]:
    """Returns the command before that of a program for arm64."""
    root = folder / "root"
    return [str(root / "usr/bin/qemu-aarch64-static"), "-cpu", CPU, "-L", str(root)]


def _only(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ToolError(f"Debian's packages have no {pattern}: this needs Debian 12")
    return found.group(1)


def _run(*command: str, cwd: Path | None = None) -> str:
    run = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if run.returncode != 0:
        raise ToolError(f"{shlex.join(command)} failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def _script(path: Path, content: str) -> None:
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
