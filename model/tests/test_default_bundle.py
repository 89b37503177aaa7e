"""The bundle of the default model, compared with sentence-transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from conftest import REPOSITORY, Bundle, run
from texts import golden_texts

BUNDLE = REPOSITORY / "build" / "model" / "default"
GOLDEN = REPOSITORY / "tests" / "data" / "golden" / "all-minilm-l6-v2.json"

# Largest difference of any element of a unit vector; measured 2.4e-7.
TOLERANCE = 1e-6


class Model:
    def __init__(self, bundle: Path) -> None:
        opened = Bundle(bundle, [])
        self.manifest = opened.manifest
        self.tokenizer = Tokenizer.from_str(json.dumps(opened.whole_tokenizer()))
        self.session = opened.session()

    def encode(self, texts: list[str]) -> tuple[NDArray[np.float32], list[int]]:
        """Unit rows `[texts, hidden]`, mean-pooled, and each text's tokens before truncation."""
        limit = self.manifest["max_tokens"]
        self.tokenizer.no_truncation()
        lengths = [len(encoding.ids) for encoding in self.tokenizer.encode_batch(texts)]
        self.tokenizer.enable_truncation(limit)
        encodings = self.tokenizer.encode_batch(texts)
        longest = max(len(encoding.ids) for encoding in encodings)
        ids, mask, types = (
            np.array(
                [row + [0] * (longest - len(row)) for row in (getattr(e, name) for e in encodings)],
                np.int32,
            )
            for name in ("ids", "attention_mask", "type_ids")
        )
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        weights = mask[..., None].astype(np.float32)
        sums = (run(self.session, batch) * weights).sum(1)
        rows = sums / weights.sum(1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True), lengths


@pytest.fixture(scope="module")
def model() -> Model:
    if not (BUNDLE / "bundle.json").is_file():
        pytest.fail("build/model/default is missing: run `make model`")
    return Model(BUNDLE)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text())
    return values


def test_the_golden_vectors_are_of_this_model_and_these_texts(
    model: Model, golden: dict[str, Any]
) -> None:
    for name in ("source", "revision", "max_tokens"):
        assert golden[name] == model.manifest[name]
    assert [entry["text"] for entry in golden["texts"]] == golden_texts()
    assert len(golden["texts"]) >= 100


def test_every_vector_is_the_one_of_sentence_transformers(
    model: Model, golden: dict[str, Any]
) -> None:
    worst = 0.0
    for entry in golden["texts"]:
        rows, (tokens,) = model.encode([entry["text"]])
        assert tokens == entry["tokens"], ascii(entry["text"][:60])
        assert (tokens > model.manifest["max_tokens"]) == entry["truncated"]
        difference = np.abs(rows[0] - np.array(entry["embedding"], np.float32)).max()
        assert difference <= TOLERANCE, ascii(entry["text"][:60])
        worst = max(worst, float(difference))
    print(f"largest difference of any element: {worst:.2e}")


def test_the_company_of_a_batch_changes_nothing(model: Model, golden: dict[str, Any]) -> None:
    entries = golden["texts"][:32]
    rows, _ = model.encode([entry["text"] for entry in entries])
    expected = np.array([entry["embedding"] for entry in entries], np.float32)
    assert np.abs(rows - expected).max() <= TOLERANCE


def test_the_seeds_example_has_the_known_scores(model: Model, golden: dict[str, Any]) -> None:
    example = golden["example"]
    texts = [entry["text"] for entry in example["scores"]]
    rows, _ = model.encode([example["query"], *texts])
    for row, entry in zip(rows[1:], example["scores"], strict=True):
        assert float(rows[0] @ row) == pytest.approx(entry["score"], abs=1e-6)
    assert [round(entry["score"], 5) for entry in example["scores"]] == [0.88235, 0.45827]


def test_lengths_around_every_limit_are_among_the_texts(golden: dict[str, Any]) -> None:
    tokens = {entry["tokens"] for entry in golden["texts"]}
    assert {3, 100, 128, 129, 255, 256, 257, 512, 600} <= tokens
