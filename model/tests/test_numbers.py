"""The graph computes BERT: compared with the definition, in double precision."""

import ml_dtypes
import numpy as np
import pytest

import reference
from checkpoint import Checkpoint
from conftest import Build, random_batch, run
from semblance_model.panels import byte_panels_of, panels_of

# fp32 arithmetic over a few small layers, on values of about 1.
TOLERANCE = 2e-5


@pytest.mark.parametrize(
    "shape",
    [
        {"layers": 1, "heads": 1, "hidden": 4, "wide": 4},
        {"layers": 1, "heads": 3, "hidden": 12, "wide": 20, "vocabulary": 7, "positions": 17},
        {"layers": 2, "heads": 2, "hidden": 8, "wide": 16},
        {"layers": 3, "heads": 5, "hidden": 20, "wide": 33, "vocabulary": 101, "token_types": 1},
        {"layers": 5, "heads": 4, "hidden": 64, "wide": 256, "vocabulary": 500, "positions": 64},
        {"layers": 2, "heads": 12, "hidden": 48, "wide": 96, "token_types": 3, "seed": 5},
    ],
)
def test_token_embeddings_are_those_of_the_definition(make: Build, shape: dict[str, int]) -> None:
    model = Checkpoint(**shape)  # type: ignore[arg-type]
    batch = random_batch(model)
    found = run(make(model).session(), batch)
    expected = reference.token_embeddings(model, **batch)
    assert found.shape == expected.shape
    mask = batch["attention_mask"] == 1
    assert np.abs(found - expected)[mask].max() < TOLERANCE


@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 0.1])
def test_the_epsilon_of_the_layer_norms_is_the_one_of_the_config(
    make: Build, epsilon: float
) -> None:
    model = Checkpoint(epsilon=epsilon)
    batch = random_batch(model)
    expected = reference.token_embeddings(model, **batch)
    mask = batch["attention_mask"] == 1
    assert np.abs(run(make(model).session(), batch) - expected)[mask].max() < TOLERANCE


@pytest.mark.parametrize("activation", sorted(reference.ACTIVATIONS))
def test_every_accepted_activation_is_the_one_named(make: Build, activation: str) -> None:
    model = Checkpoint(hidden_act=activation)
    batch = random_batch(model)
    found = run(make(model).session(), batch)
    mask = batch["attention_mask"] == 1
    differences = {
        name: np.abs(found - reference.token_embeddings(Checkpoint(hidden_act=name), **batch))[
            mask
        ].max()
        for name in reference.ACTIVATIONS
    }
    assert differences[activation] < TOLERANCE
    same = {"gelu_new", "gelu_pytorch_tanh"}
    for name, difference in differences.items():
        if name != activation and not {name, activation} <= same:
            assert difference > 10 * TOLERANCE, f"cannot tell {activation} from {name}"


@pytest.mark.parametrize("labels", [1, 3])
def test_logits_are_those_of_the_definition(make: Build, labels: int) -> None:
    model = Checkpoint(labels=labels, layers=3)
    batch = random_batch(model)
    found = run(make(model).session(), batch)
    expected = reference.logits(model, **batch)
    assert found.shape == (3, labels)
    assert np.abs(found - expected).max() < TOLERANCE


def test_the_other_texts_never_change_a_row(make: Build) -> None:
    model = Checkpoint()
    session = make(model).session()
    batch = random_batch(model, rows=4)
    together = run(session, batch)
    for row in range(4):
        tokens = int(batch["attention_mask"][row].sum())
        alone = run(session, {name: v[row : row + 1, :tokens] for name, v in batch.items()})
        assert np.abs(alone[0] - together[row, :tokens]).max() < 1e-6


@pytest.mark.parametrize(("features", "inputs"), [(32, 4), (33, 5), (1, 7), (64, 1)])
def test_a_feature_is_a_column_of_a_panel(features: int, inputs: int) -> None:
    weight = np.arange(1, features * inputs + 1, dtype=np.float32).reshape(features, inputs)
    panels = panels_of(weight)
    assert panels.shape == (-(-features // 32), inputs, 32)
    columns = panels.transpose(0, 2, 1).reshape(-1, inputs)
    assert (columns[:features] == weight).all()
    assert not columns[features:].any()


@pytest.mark.parametrize(("features", "inputs"), [(16, 4), (17, 5), (1, 7), (64, 1)])
def test_a_group_of_four_inputs_lies_side_by_side(features: int, inputs: int) -> None:
    weight = (np.arange(features * inputs) % 127 + 1).astype(np.int8).reshape(features, inputs)
    panels = byte_panels_of(weight)
    assert panels.shape == (-(-features // 16), -(-inputs // 4), 16, 4)
    for feature, values in enumerate(weight):
        stored = panels[feature // 16, :, feature % 16].flatten()
        assert (stored[:inputs] == values).all()
        assert not stored[inputs:].any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_are_widened_exactly(make: Build, dtype: str) -> None:
    narrow = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    model = Checkpoint()
    model.tensors = {name: values.astype(narrow) for name, values in model.tensors.items()}
    batch = random_batch(model)
    found = run(make(model).session(), batch)
    expected = reference.token_embeddings(model, **batch)
    assert np.abs(found - expected)[batch["attention_mask"] == 1].max() < TOLERANCE


def test_tensor_names_of_every_age_are_understood(make: Build) -> None:
    plain, prefixed, aged = Checkpoint(), Checkpoint(), Checkpoint()
    prefixed.tensors = {f"bert.{name}": v for name, v in plain.tensors.items()}
    aged.tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): v
        for name, v in plain.tensors.items()
    }
    digests = {make(model).manifest["files"]["weights"]["sha256"] for model in (plain, prefixed)}
    (aged_folder := make(aged)).session()
    assert digests == {aged_folder.manifest["files"]["weights"]["sha256"]}


def test_a_cross_encoder_without_prefix_is_understood(make: Build) -> None:
    model = Checkpoint(labels=2)
    batch = random_batch(model)
    expected = reference.logits(model, **batch)
    model.tensors = {name.removeprefix("bert."): v for name, v in model.tensors.items()}
    assert np.abs(run(make(model).session(), batch) - expected).max() < TOLERANCE


def test_a_type_outside_its_table_is_an_error_and_not_a_read_elsewhere(make: Build) -> None:
    model = Checkpoint()
    session = make(model).session()
    for value in (-1 - model.token_types, model.token_types):
        batch = random_batch(model)
        batch["token_type_ids"][0, 0] = value
        with pytest.raises(Exception, match="out of data bounds"):
            run(session, batch)


def test_more_tokens_than_positions_is_an_error(make: Build) -> None:
    model = Checkpoint(positions=16)
    session = make(model).session()
    assert run(session, random_batch(model, tokens=16)).shape == (3, 16, 8)
    with pytest.raises(Exception, match="out of data bounds"):
        run(session, random_batch(model, tokens=17))
