"""`python -m harness.families`: cold start, memory and warm event of several models, next to peers.

Each model is served by this project, by sentence-transformers (torch), and by onnxruntime with
tokenizers in Python. They take turns, one thread each, with the page cache warm. The results go to
`docs/benchmarks/families.json`, from which `scripts/models_table.py` writes docs/models.md.

MiniLM-L12 has random weights, because its published ones are not in a package index; its times do
not depend on them, and no peer runs it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness import machine, place, scores
from harness.function import Function
from harness.model import unpack
from harness.peer import HANDLER, TORCH, US, handler_peer, task_root

RESULTS = place.DOCUMENTS / "benchmarks/families.json"
EXPORTS = place.BUILD / "exports"
ROUNDS, QUICK_ROUNDS = 5, 2
EVENTS_A_ROUND = 15

_EXPORT = """
import sys
from optimum.exporters.onnx import main_export
main_export(sys.argv[1], output=sys.argv[2], task="feature-extraction",
            library_name="transformers", do_validation=False)
"""

Start = Callable[[], Function]


@dataclass(frozen=True)
class Model:
    """A model: the link of its bundle, and the folder that sentence-transformers loads, if any."""

    name: str
    bundle: str
    folder: Path | None


CHECKPOINTS = place.ROOT / "build/checkpoints"
MODELS = (
    Model("all-MiniLM-L6-v2", "default", place.MODEL),
    Model("all-MiniLM-L6-v2, from its export", "export", place.MODEL),
    Model("MiniLM-L12", "l12", None),
    Model("multilingual-e5-small", "e5", CHECKPOINTS / "multilingual-e5-small"),
    Model("all-mpnet-base-v2", "mpnet", CHECKPOINTS / "all-mpnet-base-v2"),
)


def main() -> int:
    """Measures, stores and prints; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK_ROUNDS if parser.parse_args().quick else ROUNDS
    if not place.MODEL.exists():
        unpack(place.WHEEL, place.MODEL)
    event = place.SEED_EVENT.read_bytes().replace(b"\n", b" ")
    found = {}
    for model in MODELS:
        print(model.name, file=sys.stderr, flush=True)
        found[model.name] = measure(_systems(model), event, rounds)
    facts = {"machine": machine.describe(), "versions": machine.versions(), "rounds": rounds}
    RESULTS.write_text(json.dumps({**facts, "models": found}, indent=1) + "\n", "utf-8")
    for name, systems in found.items():
        for system, row in systems.items():
            print(f"{name:36}{system:24}", *(f"{key} {value}" for key, value in row.items()))
    return 0


def measure(systems: Mapping[str, Start], event: bytes, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of each system; the first round of starts only fills the page cache."""
    answers: dict[str, bytes] = {}
    cold: dict[str, list[float]] = {name: [] for name in systems}
    peak: dict[str, list[float]] = {name: [] for name in systems}
    anonymous: dict[str, list[float]] = {name: [] for name in systems}
    warm: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(rounds + 1):
        for name, start in systems.items():
            running = start()
            try:
                answer = running.first(event)
                times = [running.ask(event).elapsed_ms for _ in range(EVENTS_A_ROUND)]
                held = running.memory()
            finally:
                running.stop()
            answers[name] = answer.body
            if turn > 0:
                cold[name].append(answer.elapsed_ms)
                peak[name].append(held.peak_mb)
                anonymous[name].append(held.anonymous_mb)
                warm[name].append(median(times))
    reference = TORCH if TORCH in answers else US
    differences = scores.differences(answers, reference)
    return {
        name: {
            "cold_ms": round(median(cold[name]), 1),
            "cold_least_ms": round(min(cold[name]), 1),
            "cold_most_ms": round(max(cold[name]), 1),
            "peak_mb": round(median(peak[name]), 1),
            "anonymous_mb": round(median(anonymous[name]), 1),
            "warm_ms": round(median(warm[name]), 2),
            "largest_score_difference": float(f"{differences[name]:.1e}"),
        }
        for name in systems
    }


def _systems(model: Model) -> dict[str, Start]:
    root = task_root()
    environment = {
        "LAMBDA_TASK_ROOT": str(root),
        "SEMBLANCE_BUNDLE": str((place.ROOT / "build/model" / model.bundle).resolve()),
        "SEMBLANCE_THREADS": "1",
        "SEMBLANCE_CACHE_BYTES": "0",
    }
    log = place.BUILD / "logs" / "families.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    systems: dict[str, Start] = {US: lambda: Function([str(root / "bootstrap")], environment, log)}
    if model.folder is not None:
        transformers = str(place.HANDLERS / "sentence_transformers_handler.py")
        handler = str(place.HANDLERS / "onnxruntime_handler.py")
        folder, graph = str(model.folder), str(_export(model.folder))
        torch = handler_peer(TORCH, [str(place.PYTHON), transformers, folder, "torch"])
        onnx = handler_peer(HANDLER, [str(place.PYTHON), handler, folder, graph])
        systems[TORCH] = lambda: torch.start(1)
        systems[HANDLER] = lambda: onnx.start(1)
    return systems


def _export(folder: Path) -> Path:
    """The plain ONNX export of a folder, made if it does not exist."""
    output = EXPORTS / folder.name
    graph = output / "model.onnx"
    if not graph.exists():
        command = [str(place.ONNX_PYTHON), "-c", _EXPORT, str(folder), str(output)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"the export of {folder} failed:\n{ran.stderr[-4000:]}")
    return graph


if __name__ == "__main__":
    sys.exit(main())
