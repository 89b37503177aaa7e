"""Fixtures of the builder's tests: build a bundle, and run it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from checkpoint import Checkpoint
from semblance_model.build import Order, build

REPOSITORY = Path(__file__).parents[2]


def pytest_configure(config: pytest.Config) -> None:
    """Makes a warning of these tests an error."""
    config.addinivalue_line("filterwarnings", "error")


class Bundle:
    """A built bundle, and the messages of its build."""

    def __init__(self, folder: Path, said: list[str]) -> None:
        self.folder = folder
        self.said = said
        self.manifest: dict[str, Any] = json.loads((folder / "bundle.json").read_text())

    def whole_tokenizer(self) -> dict[str, Any]:
        """The `tokenizer.json` of the tokenizers library: the rules and the vocabulary."""
        rules: dict[str, Any] = json.loads((self.folder / "tokenizer.json").read_text())
        words = (self.folder / "vocabulary.txt").read_bytes().decode().split("\n")
        assert rules["model"].pop("words") == len(words) - 1, "the last line is ended too"
        rules["model"]["vocab"] = {word: number for number, word in enumerate(words[:-1])}
        return rules

    def session(self, optimized: bool = False) -> "Session":
        """A session like the function's: optimization and prepacking off, one thread."""
        level = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = (
            level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
        )
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_prepacking", "1")
        inner = onnxruntime.InferenceSession(
            str(self.folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        words = np.fromfile(self.folder / "model.words", "<f4")
        return Session(inner, words.reshape(-1, self.manifest["hidden_size"]))


@dataclass(frozen=True)
class Session:
    """A graph with its embedding table, `[vocabulary, hidden]`."""

    inner: onnxruntime.InferenceSession
    words: NDArray[np.float32]


def run(session: Session, batch: dict[str, NDArray[np.int32]]) -> Any:
    """The one output of a session."""
    inputs: dict[str, Any] = dict(batch)
    inputs["word_embeddings"] = session.words[inputs.pop("input_ids")]
    (output,) = session.inner.run(None, inputs)
    return output


def random_batch(model: Checkpoint, rows: int = 3, tokens: int = 9) -> dict[str, Any]:
    """Rows of random ids, each row one token shorter than the one before, padded on the right."""
    random = np.random.default_rng(7)
    mask = np.ones((rows, tokens), np.int32)
    for row in range(rows):
        mask[row, tokens - row :] = 0
    ids = random.integers(0, model.vocabulary, (rows, tokens), dtype=np.int32) * mask
    types = random.integers(0, model.token_types, (rows, tokens), dtype=np.int32) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


Build = Callable[..., Bundle]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where bundles go."""
    return tmp_path / "output"


@pytest.fixture
def make(tmp_path: Path, output: Path) -> Build:
    """Writes a checkpoint and builds its bundle."""

    def make_bundle(model: Checkpoint, name: str | None = None) -> Bundle:
        said: list[str] = []
        folder = model.write(tmp_path / "tiny-model")
        order = Order(str(folder), None, output, "default", name)
        return Bundle(build(order, said.append), said)

    return make_bundle
