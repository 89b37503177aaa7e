"""The machine and the versions, for the report."""

import os
import platform
import subprocess
import time
from pathlib import Path

from harness import place

_AVX512 = "avx512f"
_FLAGS = ("avx2", "fma", _AVX512, "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile")


def has_avx512() -> bool:
    """Whether the processor has AVX-512."""
    return _AVX512 in _cpu().get("flags", "").split()


def describe() -> dict[str, str]:
    """The facts that a comparison needs."""
    fields = _cpu()
    flags = set(fields.get("flags", "").split())
    memory_kb = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1])
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h"],
        cwd=place.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "CPU": f"{os.cpu_count()} cores of {fields.get('model name', platform.processor())}",
        "CPU flags": ", ".join(flag for flag in _FLAGS if flag in flags),
        "memory": f"{memory_kb / 1e6:.0f} GB",
        "kernel": platform.release().partition("-")[0],
        "commit": commit.stdout.strip() or "unknown",
    }


def versions() -> dict[str, str]:
    """Versions of the peers, from their environments."""
    program = (
        "import json, sys\nfrom importlib.metadata import version\n"
        "print(' '.join(version(name) for name in sys.argv[1:]))"
    )
    names = ("sentence-transformers", "torch", "transformers", "tokenizers", "onnxruntime")
    found = {}
    for label, python in (("main", place.PYTHON), ("onnx", place.ONNX_PYTHON)):
        ran = subprocess.run(
            [str(python), "-c", program, *names], capture_output=True, text=True, check=True
        )
        for name, version in zip(names, ran.stdout.split(), strict=True):
            found[f"{label} {name}"] = version
    lock = (place.PEERS / "fastembed/Cargo.lock").read_text(encoding="utf-8")
    found["fastembed"] = lock.split('name = "fastembed"\nversion = "')[1].split('"')[0]
    found["python"] = platform.python_version()
    return found


def _cpu() -> dict[str, str]:
    """The fields of the last CPU."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in cpuinfo.splitlines())
        if value
    }
