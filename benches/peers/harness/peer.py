"""The peers, and how to start them."""

import os
from collections.abc import Callable
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
# Tokens of one short text: the products of the model are timed for each of these numbers of rows.
KERNEL_ROWS = range(6, 17)


@dataclass(frozen=True)
class Peer:
    """A peer: its name, and the function that starts it with a number of threads."""

    name: str
    start: Callable[[int], Function | LineProcess]


def peers() -> list[Peer]:
    """All of them, this project first."""
    handlers = place.HANDLERS
    transformers = str(handlers / "sentence_transformers_handler.py")
    onnxruntime = str(handlers / "onnxruntime_handler.py")
    model, graph = str(place.MODEL), str(place.GRAPH)
    return [
        Peer(US, lambda threads: function(threads, cache_bytes=0)),
        line_peer(
            HANDLER, [str(place.PYTHON), onnxruntime, model, graph]
        ),
        line_peer(FASTEMBED, [str(place.FASTEMBED), model, graph]),
        line_peer(TORCH, [str(place.PYTHON), transformers, model, "torch"]),
        line_peer(ONNX, [str(place.ONNX_PYTHON), transformers, model, "onnx"]),
    ]


def floor() -> Peer:
    """The process that measures the machine itself."""
    return line_peer("sgemm", [str(place.PYTHON), str(place.HANDLERS / "sgemm.py")])


def kernel_floor(threads: int) -> LineProcess:
    """The process that measures the product kernel of this project."""
    rows = ",".join(str(count) for count in KERNEL_ROWS)
    command = [str(place.SUPPORT), "floor", "--threads", str(threads), "--rows", rows]
    return LineProcess(command, {}, _log("kernel"))


def function(threads: int, cache_bytes: int | None) -> Function:
    """The package of this project; by default with its default cache."""
    environment = {
        "SEMBLANCE_BUNDLE": str(place.BUNDLE.resolve()),
        "SEMBLANCE_THREADS": str(threads),
    }
    if cache_bytes is not None:
        environment["SEMBLANCE_CACHE_BYTES"] = str(cache_bytes)
    return Function(task_root(), environment, _log(US))


def task_root() -> Path:
    """The folder of the extracted package; extracted again if it has changed."""
    folder = place.BUILD / "task"
    stamp = folder / ".unpacked"
    if not stamp.exists() or stamp.stat().st_mtime < place.PACKAGE.stat().st_mtime:
        unpack(place.PACKAGE, folder)
        stamp.touch()
    return folder


def line_peer(name: str, command: list[str]) -> Peer:
    """A peer that takes its number of threads as the last argument."""

    def start(threads: int) -> LineProcess:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(threads),
            "ORT_DYLIB_PATH": str(place.LIBRARY),
            "RAYON_NUM_THREADS": str(threads),
        }
        return LineProcess([*command, str(threads)], environment, _log(name))

    return Peer(name, start)


def _log(name: str) -> Path:
    folder = place.BUILD / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name.replace(', ', '-').replace(' ', '-')}.log"
