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
from semblance_model.inputs import inputs_of
from semblance_model.plain import open_plain
from semblance_model.words import read_words

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

    def session(self) -> "Session":
        """A session of the plain form of the graph."""
        width = self.manifest.get("embedding_size", self.manifest["hidden_size"])
        words = read_words(self.folder, width, self.manifest["precision"])
        return Session(open_plain(self.folder), words)


@dataclass(frozen=True)
class Session:
    """A graph and its embedding table `[vocabulary, hidden]`."""

    inner: onnxruntime.InferenceSession
    words: NDArray[np.float32]


def run(session: Session, batch: dict[str, NDArray[np.int32]]) -> Any:
    """The output of a session for a batch `[rows, tokens]` that is padded on the right.

    Token embeddings get the padding back, as zeros.
    """
    mask = batch["attention_mask"] == 1
    ids, types = batch["input_ids"], batch["token_type_ids"]
    texts = [(ids[row, kept], types[row, kept]) for row, kept in enumerate(mask)]
    (output,) = session.inner.run(None, inputs_of(session.inner, session.words, texts))
    if session.inner.get_outputs()[0].name == "logits":
        return output
    padded = np.zeros((*mask.shape, output.shape[-1]), np.float32)
    padded[mask] = output
    return padded


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
