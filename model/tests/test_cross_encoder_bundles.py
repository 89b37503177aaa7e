"""The bundles of the seeded cross-encoders, compared with transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

import cross_encoder
from conftest import REPOSITORY, Bundle, run
from pairs import golden_pairs
from semblance_model.source import open_source

GOLDEN = REPOSITORY / "tests" / "data" / "golden-cross"
NAMES = {"cross": 1, "cross-labels": 3}

# Largest difference of any logit; they are of about 2. Measured 3.6e-6.
TOLERANCE = 1e-5


class Model:
    """A bundle, its golden file and its own tokenizer."""

    def __init__(self, name: str) -> None:
        folder = REPOSITORY / "build" / "model" / name
        if not (folder / "bundle.json").is_file():
            pytest.fail(f"build/model/{name} is missing: run `make build/model/.{name}`")
        bundle = Bundle(folder, [])
        self.manifest = bundle.manifest
        self.golden: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
        self.pairs: list[dict[str, Any]] = self.golden["pairs"]
        self.labels = NAMES[name]
        self._session = bundle.session()
        self._tokenizer = Tokenizer.from_str(json.dumps(bundle.whole_tokenizer()))
        self._tokenizer.enable_truncation(self.manifest["max_tokens"], strategy="longest_first")

    def encode(self, pairs: list[dict[str, Any]]) -> list[Encoding]:
        """The pairs as [CLS] a [SEP] b [SEP], truncated longest first."""
        return self._tokenizer.encode_batch([tuple(entry["pair"]) for entry in pairs])

    def logits(self, encodings: list[Encoding], typed: bool = True) -> NDArray[np.float32]:
        """Logits `[pairs, labels]` of one batch, padded to its longest pair."""
        longest = max(len(encoding.ids) for encoding in encodings)
        batch = {
            name: np.array([row + [0] * (longest - len(row)) for row in rows], np.int32)
            for name, rows in (
                ("input_ids", [encoding.ids for encoding in encodings]),
                ("attention_mask", [encoding.attention_mask for encoding in encodings]),
                ("token_type_ids", [encoding.type_ids for encoding in encodings]),
            )
        }
        if not typed:
            batch["token_type_ids"][:] = 0
        values: NDArray[np.float32] = run(self._session, batch)
        return values


@pytest.fixture(scope="module", params=sorted(NAMES))
def model(request: pytest.FixtureRequest) -> Model:
    return Model(request.param)


def activated(logits: NDArray[np.float32], activation: str) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    return 1 / (1 + np.exp(-wide)) if activation == "sigmoid" else wide


def test_the_golden_scores_are_of_this_model_and_these_pairs(model: Model) -> None:
    for name in ("source", "revision", "max_tokens", "labels", "activation"):
        assert model.golden[name] == model.manifest[name], name
    assert model.manifest["labels"] == model.labels
    assert model.manifest["task"] == "cross-encoder"
    assert [tuple(entry["pair"]) for entry in model.pairs] == golden_pairs()
    assert len(model.pairs) >= 60


def test_every_pair_is_packed_and_cut_as_transformers_does(model: Model) -> None:
    for entry, encoding in zip(model.pairs, model.encode(model.pairs), strict=True):
        shown = ascii([text[:40] for text in entry["pair"]])
        assert encoding.ids == entry["input_ids"], shown
        assert encoding.type_ids == entry["token_type_ids"], shown
        assert bool(encoding.overflowing) == entry["truncated"], shown


def test_the_longer_text_is_cut_first_and_the_second_keeps_the_odd_token(model: Model) -> None:
    """What a reader of a bundle that truncates pairs itself must do."""
    room = model.manifest["max_tokens"] - 3
    cut = set()
    for entry in model.pairs:
        first, second = entry["tokens"]
        kept = (first, second)
        if entry["truncated"] and first > second:
            shorter = min(second, room // 2)
            kept = (room - shorter, shorter)
        elif entry["truncated"]:
            shorter = min(first, room // 2)
            kept = (shorter, room - shorter)
        ones = sum(entry["token_type_ids"])
        assert (len(entry["input_ids"]) - ones - 2, ones - 1) == kept
        cut.add((first > kept[0], second > kept[1]))
    assert cut == {(False, False), (False, True), (True, False), (True, True)}


def test_every_logit_is_the_one_of_transformers(model: Model) -> None:
    worst = 0.0
    for entry, encoding in zip(model.pairs, model.encode(model.pairs), strict=True):
        (row,) = model.logits([encoding])
        assert row.shape == (model.labels,)
        difference = np.abs(row - np.array(entry["logits"], np.float32)).max()
        assert difference <= TOLERANCE, ascii([text[:40] for text in entry["pair"]])
        worst = max(worst, float(difference))
    print(f"largest difference of any logit: {worst:.2e}")


def test_the_scores_are_those_of_sentence_transformers(model: Model) -> None:
    for entry in model.pairs:
        logits = np.array(entry["logits"], np.float32)
        scores = activated(logits, model.manifest["activation"])
        assert np.abs(scores - entry["scores"]).max() < 1e-6


def test_the_company_of_a_batch_changes_nothing(model: Model) -> None:
    encodings = model.encode(model.pairs)
    assert len({len(encoding.ids) for encoding in encodings}) > 20
    expected = np.array([entry["logits"] for entry in model.pairs], np.float32)
    assert np.abs(model.logits(encodings) - expected).max() <= TOLERANCE


def test_the_logits_can_tell_pairs_orders_and_token_types_apart(model: Model) -> None:
    """Otherwise no test above could fail: a seeded model might give every pair the same score."""
    logits = np.array([entry["logits"] for entry in model.pairs])
    assert (logits.std(axis=0) > 1).all()
    assert (logits.min(axis=0) < -1).all()
    assert (logits.max(axis=0) > 1).all()
    forth = model.pairs[:1]
    back = [{"pair": forth[0]["pair"][::-1]}]
    assert np.abs(model.logits(model.encode(forth)) - model.logits(model.encode(back))).max() > 0.1
    encodings = model.encode(model.pairs)
    untyped = np.abs(model.logits(encodings, typed=False) - logits).max(axis=1)
    assert np.median(untyped) > 0.1


def test_the_checkpoint_is_the_same_to_the_bit_each_time(model: Model, tmp_path: Path) -> None:
    first = REPOSITORY / "build" / "checkpoints" / f"seeded-cross-encoder-{model.labels}"
    with open_source(f"folder:{first}") as tokenizer:
        cross_encoder.write(tokenizer, model.labels, tmp_path)
    for file in sorted(first.iterdir()):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
