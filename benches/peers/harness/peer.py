"""The peers, and how to start them."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import place
from harness.function import Function, unpack
from harness.process import LineProcess

US = "semblance"
TORCH = "sentence-transformers"
ONNX = "sentence-transformers, onnx"
HANDLER = "onnxruntime handler"
FASTEMBED = "fastembed-rs"
AVX2 = "avx2"
# Torch itself, and the libraries that it calls (oneDNN, MKL).
TORCH_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
# Tokens of one short text: the products of the model are timed for each of these numbers of rows.
KERNEL_ROWS = range(6, 17)


@dataclass(frozen=True)
class Peer:
    """A peer: its name, and the function that starts it with a number of threads."""

    name: str
    start: Callable[[int], Function]


def peers() -> list[Peer]:
    """All of them, this project first."""
    handlers = place.HANDLERS
    transformers = str(handlers / "sentence_transformers_handler.py")
    onnxruntime = str(handlers / "onnxruntime_handler.py")
    model, graph = str(place.MODEL), str(place.GRAPH)
    return [
        Peer(US, lambda threads: function(threads, cache_bytes=0)),
        handler_peer(HANDLER, [str(place.PYTHON), onnxruntime, model, graph]),
        handler_peer(FASTEMBED, [str(place.FASTEMBED), model, graph]),
        handler_peer(TORCH, [str(place.PYTHON), transformers, model, "torch"]),
        handler_peer(ONNX, [str(place.ONNX_PYTHON), transformers, model, "onnx"]),
    ]


def avx2_peers() -> list[Peer]:
    """The peers that can be told to use AVX2 instead of AVX-512, this project first."""
    if not place.AVX2_LIBRARY.exists():
        command = [place.PYTHON, place.HIDE_AVX512, place.LIBRARY, place.AVX2_LIBRARY]
        subprocess.run([str(part) for part in command], check=True)
    transformers = str(place.HANDLERS / "sentence_transformers_handler.py")
    model, graph = str(place.MODEL), str(place.GRAPH)
    return [
        Peer(US, lambda threads: function(threads, 0, AVX2)),
        handler_peer(
            FASTEMBED,
            [str(place.FASTEMBED), model, graph],
            {"ORT_DYLIB_PATH": str(place.AVX2_LIBRARY)},
        ),
        handler_peer(TORCH, [str(place.PYTHON), transformers, model, "torch"], TORCH_AVX2),
    ]


def floor(threads: int, instruction_set: str | None = None) -> LineProcess:
    """The process that measures the machine itself."""
    command = [str(place.PYTHON), str(place.HANDLERS / "sgemm.py")]
    environment = _environment(threads)
    if instruction_set is not None:
        # The library in the Python wheel would use AVX-512.
        command.append("--torch")
        environment |= TORCH_AVX2
    return LineProcess([*command, str(threads)], environment, _log("sgemm"))


def kernel_floor(threads: int, instruction_set: str | None = None) -> LineProcess:
    """The process that measures the product kernel of this project."""
    rows = ",".join(str(count) for count in KERNEL_ROWS)
    command = [str(place.SUPPORT), "floor", "--threads", str(threads), "--rows", rows]
    if instruction_set is not None:
        command += ["--instruction-set", instruction_set]
    return LineProcess(command, {}, _log("kernel"))


def function(threads: int, cache_bytes: int | None, instruction_set: str | None = None) -> Function:
    """The package of this project; by default with its default cache and the fastest kernels."""
    root = task_root()
    environment = {
        "LAMBDA_TASK_ROOT": str(root),
        "SEMBLANCE_BUNDLE": str(place.BUNDLE.resolve()),
        "SEMBLANCE_THREADS": str(threads),
    }
    if cache_bytes is not None:
        environment["SEMBLANCE_CACHE_BYTES"] = str(cache_bytes)
    if instruction_set is not None:
        environment["SEMBLANCE_INSTRUCTION_SET"] = instruction_set
    return Function([str(root / "bootstrap")], environment, _log(US))


def task_root() -> Path:
    """The folder of the extracted package; extracted again if it has changed."""
    folder = place.BUILD / "task"
    stamp = folder / ".unpacked"
    if not stamp.exists() or stamp.stat().st_mtime < place.PACKAGE.stat().st_mtime:
        unpack(place.PACKAGE, folder)
        stamp.touch()
    return folder


def handler_peer(name: str, command: list[str], more: Mapping[str, str] | None = None) -> Peer:
    """A peer that takes its number of threads as the last argument."""

    def start(threads: int) -> Function:
        environment = _environment(threads) | dict(more or {})
        return Function([*command, str(threads)], environment, _log(name))

    return Peer(name, start)


def _environment(threads: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        # Without it, starts include the telemetry of ONNX Runtime, which semblance turns off.
        "ORT_DISABLE_TELEMETRY": "1",
        "ORT_DYLIB_PATH": str(place.LIBRARY),
        "RAYON_NUM_THREADS": str(threads),
    }


def _log(name: str) -> Path:
    folder = place.BUILD / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name.replace(', ', '-').replace(' ', '-')}.log"
