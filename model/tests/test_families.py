"""Every family computes what sentence-transformers does, on the small seeded models."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

import families
from checkpoint import Checkpoint
from conftest import REPOSITORY, Build, Bundle, random_batch, run
from reference import token_embeddings
from semblance_model.build import Order, build
from semblance_model.families import FAMILIES
from semblance_model.inputs import inputs_of
from semblance_model.refusal import Refusal
from semblance_model.relative import bias_by_distance
from semblance_model.source import open_source

CHECKPOINTS = REPOSITORY / "build" / "checkpoints" / "families"
GOLDEN = REPOSITORY / "tests" / "data" / "golden-families"

ELEMENT_TOLERANCE = 2e-5
SCORE_TOLERANCE = 1e-5


class Model:
    """A bundle of a seeded model with its own tokenizer."""

    def __init__(self, source: str, folder: Path, precision: Any = "fp32") -> None:
        if not (CHECKPOINTS / source).is_dir():
            pytest.fail(f"{source} is missing: run `make build/checkpoints/.families`")
        order = Order(str(CHECKPOINTS / source), None, folder, None, None, precision)
        self.bundle = Bundle(build(order, lambda _: None), [])
        self._session = self.bundle.session()
        self._tokenizer = Tokenizer.from_str(json.dumps(self.bundle.whole_tokenizer()))
        limit = self.bundle.manifest["max_tokens"]
        self._tokenizer.enable_truncation(limit, strategy="longest_first")

    def output(self, texts: Any) -> NDArray[np.float32]:
        """What the graph returns for one text or one pair."""
        encoding = self._tokenizer.encode(*texts)
        tokens = np.array(encoding.ids), np.array(encoding.type_ids)
        inputs = inputs_of(self._session.inner, self._session.words, [tokens])
        (values,) = self._session.inner.run(None, inputs)
        found: NDArray[np.float32] = values
        return found

    def embedding(self, text: str) -> NDArray[np.float32]:
        """The mean of the token embeddings, scaled to unit length."""
        mean = self.output([text]).mean(axis=0)
        unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
        return unit


def golden(kind: str) -> Any:
    return json.loads((GOLDEN / f"{kind}.json").read_text())


@pytest.mark.parametrize("kind", FAMILIES)
def test_embeddings_are_those_of_sentence_transformers(kind: str, tmp_path: Path) -> None:
    texts = golden(kind)["texts"]
    assert len(texts) >= 25
    model = Model(kind, tmp_path)
    found = np.array([model.embedding(entry["text"]) for entry in texts])
    expected = np.array([entry["embedding"] for entry in texts])
    worst = np.abs(found - expected).max()
    print(f"{kind}: largest difference of an element {worst:.1e}")
    assert worst <= ELEMENT_TOLERANCE
    assert np.abs(found @ found.T - expected @ expected.T).max() <= SCORE_TOLERANCE
    # Otherwise nothing above could fail.
    assert (expected @ expected.T).min() < 0.9


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_scores_of_pairs_are_those_of_sentence_transformers(kind: str, tmp_path: Path) -> None:
    pairs = golden(kind)["pairs"]
    assert len(pairs) >= 15
    model = Model(f"{kind}-classifier", tmp_path)
    assert model.bundle.manifest["task"] == "cross-encoder"
    scores = np.array([model.output(entry["pair"])[0] for entry in pairs], np.float64)
    if model.bundle.manifest["activation"] == "sigmoid":
        scores = 1 / (1 + np.exp(-scores))
    expected = np.array([entry["scores"] for entry in pairs])
    worst = np.abs(scores - expected).max()
    print(f"{kind}: largest difference of a score {worst:.1e}")
    assert worst <= SCORE_TOLERANCE
    assert expected.std(axis=0).min() > 0.01


@pytest.mark.parametrize("kind", FAMILIES)
def test_int8_stays_near(kind: str, tmp_path: Path) -> None:
    texts = golden(kind)["texts"]
    model = Model(kind, tmp_path, "int8")
    found = np.array([model.embedding(entry["text"]) for entry in texts])
    expected = np.array([entry["embedding"] for entry in texts])
    assert (found * expected).sum(axis=1).min() > 0.995


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_folder_is_the_same_to_the_bit_each_time(kind: str, tmp_path: Path) -> None:
    with open_source(f"folder:{CHECKPOINTS / kind}") as tokenizer:
        families.write(tokenizer, kind, False, tmp_path)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / file).read_bytes() == (CHECKPOINTS / kind / file).read_bytes()


def test_distances_have_the_buckets_of_transformers() -> None:
    table = np.arange(32, dtype=np.float32)[:, None]
    (buckets,) = bias_by_distance(table, 200)
    found = {distance: int(buckets[distance + 199]) for distance in range(-199, 200)}
    # From MPNetEncoder.relative_position_bucket, transformers 5.23.
    near = {distance: -distance for distance in range(-7, 1)}
    far = {-8: 8, -11: 8, -12: 9, -15: 9, -16: 10, -22: 10, -23: 11, -31: 11, -32: 12, -64: 14}
    last = {-90: 14, -91: 15, -127: 15, -128: 15, -199: 15}
    expected = near | far | last
    for distance, bucket in expected.items():
        assert found[distance] == bucket, distance
        if distance:
            assert found[-distance] == bucket + 16, -distance


@pytest.mark.parametrize("prefix", ["bert.", "model.", "module.", "0.auto_model.", "module.bert."])
def test_the_encoder_is_found_behind_any_prefix(make: Build, prefix: str) -> None:
    model = Checkpoint()
    batch = random_batch(model)
    expected = token_embeddings(model, **batch)
    model.tensors = {f"{prefix}{name}": values for name, values in model.tensors.items()}
    model.tensors["cls.predictions.bias"] = np.zeros(3, np.float32)
    found = run(make(model).session(), batch)
    assert np.abs(found - expected)[batch["attention_mask"] == 1].max() < ELEMENT_TOLERANCE


def test_several_encoders_are_refused(make: Build) -> None:
    model = Checkpoint()
    model.tensors |= {f"query.{name}": values for name, values in model.tensors.items()}
    with pytest.raises(Refusal, match="several encoders: embeddings") as refused:
        make(model)
    assert refused.value.code == "model.weights_format"


@pytest.mark.parametrize(
    "architectures",
    [None, [], ["BertForMaskedLM"], ["BertForPreTraining"], ["BertForTokenClassification"]],
)
def test_a_head_that_is_not_a_classifier_of_sequences_is_left_out(
    make: Build, architectures: list[str] | None
) -> None:
    plain, headed = Checkpoint(), Checkpoint()
    headed.files["config.json"]["architectures"] = architectures
    headed.tensors = {f"bert.{name}": values for name, values in headed.tensors.items()}
    headed.tensors["cls.predictions.decoder.weight"] = np.ones((40, 8), np.float32)
    digests = [make(model).manifest["files"]["weights"]["sha256"] for model in (plain, headed)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "nomic_bert"}, "nomic_bert"),
        ({"model_type": "t5"}, "expected one of bert, roberta"),
        ({"architectures": ["JinaBertModel"]}, "expected a class of Bert"),
        ({"architectures": "BertModel"}, "expected a list of names"),
        ({"is_decoder": True}, "is_decoder is true"),
        ({"hidden_act": "silu"}, "silu"),
        ({"hidden_act": "quick_gelu"}, "quick_gelu"),
        ({"model_type": "roberta", "architectures": None, "pad_token_id": 24}, "row 25"),
        (
            {
                "model_type": "mpnet",
                "architectures": None,
                "relative_attention_num_buckets": 64,
            },
            "relative_attention_num_buckets is 64, expected 32",
        ),
    ],
)
def test_what_no_family_has_is_refused_by_name(
    make: Build, fields: dict[str, Any], message: str
) -> None:
    model = Checkpoint()
    model.files["config.json"] |= fields
    with pytest.raises(Refusal, match=message):
        make(model)


def test_token_types_are_not_read_if_transformers_does_not_pass_them(make: Build) -> None:
    model = Checkpoint()
    model.files["tokenizer_config.json"]["model_input_names"] = ["input_ids", "attention_mask"]
    batch = random_batch(model)
    found = run(make(model).session(), batch)
    batch["token_type_ids"][:] = 0
    expected = token_embeddings(model, **batch)
    assert np.abs(found - expected)[batch["attention_mask"] == 1].max() < ELEMENT_TOLERANCE


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "camembert", "mpnet"])
def test_a_family_that_does_not_count_padding_may_be_padded_on_the_left(
    tmp_path: Path, kind: str
) -> None:
    source = tmp_path / kind
    shutil.copytree(CHECKPOINTS / kind, source)
    config = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(json.dumps(config | {"padding_side": "left"}))
    order = Order(str(source), None, tmp_path / "out", None, None)
    manifest = Bundle(build(order, lambda _: None), []).manifest
    # Its position table has a row for the padding inside a text.
    assert manifest["pad_token_id"] == {"camembert": 5}.get(kind, 1)
