"""int8 bundles: near the definition, the same in every batch, and never saturated."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
from checkpoint import Checkpoint
from conftest import Bundle, random_batch, run
from semblance_model.build import Order, build
from semblance_model.cli import main
from semblance_model.quantize import channel_factors, quantize_dense, quantize_rows
from semblance_model.refusal import Refusal

# Of the cosine of a token with what the definition gives, on random weights.
LEAST_COSINE = 0.9995


def even_tempered(**shape: Any) -> Checkpoint:
    """A model whose dense layers keep the size of what they are given, as trained ones do.

    With the fixture's larger weights a softmax picks one token, and a rounding picks another.
    """
    model = Checkpoint(heads=4, hidden=64, **shape)
    matrices = [values for values in model.tensors.values() if values.ndim == 2]
    for matrix in matrices:
        np.multiply(matrix, 2 / np.sqrt(matrix.shape[1]), out=matrix)
    return model


def build_int8(model: Checkpoint, folder: Path) -> Bundle:
    source = model.write(folder / "tiny-model")
    order = Order(str(source), None, folder / "out", None, None, "int8")
    return Bundle(build(order, lambda _: None), [])


@pytest.mark.parametrize("activation", sorted(reference.ACTIVATIONS))
@pytest.mark.parametrize("wide", [256, 33])
def test_token_embeddings_are_near_the_definition(
    tmp_path: Path, activation: str, wide: int
) -> None:
    model = even_tempered(layers=3, wide=wide, hidden_act=activation)
    batch = random_batch(model)
    found = run(build_int8(model, tmp_path).session(), batch)
    expected = reference.token_embeddings(model, **batch)
    mask = batch["attention_mask"] == 1
    found, expected = found[mask], expected[mask]
    norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    assert ((found * expected).sum(axis=-1) / norms).min() > LEAST_COSINE


def test_logits_are_near_the_definition(tmp_path: Path) -> None:
    model = even_tempered(layers=3, wide=256, labels=3)
    batch = random_batch(model)
    found = run(build_int8(model, tmp_path).session(), batch)
    expected = reference.logits(model, **batch)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_batch_mates_and_padding_never_change_a_row(tmp_path: Path) -> None:
    model = even_tempered(wide=256)
    session, batch = build_int8(model, tmp_path).session(), random_batch(model, rows=4)
    together = run(session, batch)
    for row in range(4):
        tokens = int(batch["attention_mask"][row].sum())
        alone = {name: values[row : row + 1, :tokens] for name, values in batch.items()}
        difference = run(session, alone)[0] - together[row, :tokens]
        assert np.abs(difference).max() < 1e-6


def test_a_token_of_zeros_is_finite(tmp_path: Path) -> None:
    model = Checkpoint()
    for name, values in model.tensors.items():
        if "LayerNorm" in name:
            values[:] = 0
    found = run(build_int8(model, tmp_path).session(), random_batch(model))
    assert np.isfinite(found).all()


def test_what_is_not_finite_is_refused(tmp_path: Path) -> None:
    model = Checkpoint()
    model.tensors["encoder.layer.0.intermediate.dense.weight"][:] = 3e38
    with pytest.raises(Refusal) as refused:
        build_int8(model, tmp_path)
    assert refused.value.code == "model.output"
    assert not list(tmp_path.glob("out/*/*/bundle.json"))


def test_two_builds_are_the_same_bundle(tmp_path: Path) -> None:
    first, second = (build_int8(Checkpoint(), tmp_path / it) for it in ("one", "two"))
    assert first.folder.name == second.folder.name


def test_the_command_line_says_it_in_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Checkpoint().write(tmp_path / "tiny-model")
    arguments = ["build", "--source", str(folder), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--precision", "int8"]) == 0
    bundle = Path(capsys.readouterr().out.strip())
    manifest = json.loads((bundle / "bundle.json").read_text())
    assert manifest["precision"] == "int8"
    assert manifest["files"]["words"]["size_bytes"] == 40 * (4 + 8)


@pytest.mark.parametrize("inputs", [1, 2, 33, 384])
def test_no_pair_of_weights_can_saturate(inputs: int) -> None:
    weight = np.random.default_rng(1).standard_normal((50, inputs)).astype(np.float32)
    weight[0] = 1
    weight[1] = -1
    values = quantize_dense(weight).values.T.astype(np.int64)
    values = np.pad(values, ((0, inputs % 2), (0, 0)))
    for side in (np.maximum(values, 0), np.maximum(-values, 0)):
        assert (255 * (side[0::2] + side[1::2]) < 2**15).all()


def test_values_come_back_within_half_a_step() -> None:
    rows = np.random.default_rng(2).standard_normal((30, 64)).astype(np.float32)
    rows[3] = 0
    table, dense = quantize_rows(rows), quantize_dense(rows)
    for values, scales in (table, (dense.values, dense.scales)):
        error = np.abs(values * scales[:, np.newaxis] - rows)
        assert (error <= scales[:, np.newaxis] * 0.5001).all()


def test_factors_even_channels_out_and_leave_unused_ones() -> None:
    weights = np.array([[1, 4, 1], [0.5, 1, 0]], np.float32)
    factors = channel_factors(np.array([16, 1, 0], np.float32), weights)
    assert factors.tolist() == [4, 0.5, 1]
