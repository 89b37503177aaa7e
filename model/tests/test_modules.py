"""Modules after the transformer: poolings, dense layers and the width of an embedding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from checkpoint import Checkpoint
from conftest import Build, Bundle
from semblance_model.build import Order, build
from semblance_model.cli import main
from semblance_model.refusal import Refusal


def with_dense(folder: Path, **fields: Any) -> Checkpoint:
    """A model whose dense layer has 8 inputs and 3 outputs, with its weights in `folder`."""
    model = Checkpoint()
    model.files["modules.json"].insert(
        2, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    )
    model.files["2_Dense/config.json"] = {"in_features": 8, "out_features": 3} | fields
    (folder / "2_Dense").mkdir(parents=True)
    weight = np.arange(24, dtype=np.float32).reshape(3, 8)
    tensors = {"linear.weight": weight, "linear.bias": np.array([7, 8, 9], np.float32)}
    save_file(tensors, folder / "2_Dense" / "model.safetensors")
    return model


def test_the_flags_of_poolings_are_concatenated_in_the_order_of_sentence_transformers(
    make: Build,
) -> None:
    model = Checkpoint()
    model.files["1_Pooling/config.json"] |= {
        "pooling_mode_lasttoken": True,
        "pooling_mode_weightedmean_tokens": True,
        "pooling_mode_cls_token": True,
    }
    expected = ["cls", "mean", "weighted_mean", "last_token"]
    assert make(model).manifest["pooling"] == expected


def test_a_dense_layer_is_stored_in_panels(make: Build, tmp_path: Path) -> None:
    bundle = make(with_dense(tmp_path / "tiny-model"))
    layer = {"inputs": 8, "outputs": 3, "activation": "tanh"}
    assert bundle.manifest["dense"] == [layer]
    values = np.fromfile(bundle.folder / "model.dense", "<f4")
    panel, bias = values[:-3].reshape(8, 32), values[-3:]
    assert (np.arange(24).reshape(3, 8) == panel[:, :3].T).all()
    assert not panel[:, 3:].any()
    assert bias.tolist() == [7, 8, 9]


def test_an_activation_of_other_code_is_ignored_with_a_note(make: Build, tmp_path: Path) -> None:
    bundle = make(with_dense(tmp_path / "tiny-model", activation_function="mine.Scale"))
    assert bundle.manifest["dense"][0]["activation"] == "tanh"
    assert any('"mine.Scale" is not in torch' in line for line in bundle.said)


def test_a_dense_weight_of_another_shape_is_refused(make: Build, tmp_path: Path) -> None:
    model = with_dense(tmp_path / "tiny-model", out_features=4)
    with pytest.raises(Refusal, match=r"linear.weight has shape \[3, 8\], expected \[4, 8\]"):
        make(model)


def truncated(folder: Path, model: Checkpoint, dimensions: int) -> Bundle:
    source = model.write(folder / "tiny-model")
    order = Order(str(source), None, folder / "out", None, None, truncate_dim=dimensions)
    return Bundle(build(order, lambda _: None), [])


def test_the_first_values_of_an_embedding_can_be_kept(tmp_path: Path) -> None:
    assert truncated(tmp_path, Checkpoint(), 5).manifest["output_size"] == 5
    assert "output_size" not in truncated(tmp_path, Checkpoint(), 8).manifest


def test_a_dense_layer_limits_the_width(tmp_path: Path) -> None:
    model = with_dense(tmp_path / "tiny-model")
    assert truncated(tmp_path, model, 2).manifest["output_size"] == 2
    with pytest.raises(Refusal, match="expected 1 to 3"):
        truncated(tmp_path, model, 4)


@pytest.mark.parametrize("labels", [None, 2])
@pytest.mark.parametrize("dimensions", [0, -1, 9])
def test_a_width_that_no_embedding_has_is_refused(
    tmp_path: Path, labels: int | None, dimensions: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Checkpoint(labels=labels).write(tmp_path / "tiny-model")
    arguments = ["build", "--source", str(source), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--truncate-dim", str(dimensions)]) == 2
    assert "[model.truncate_dim]" in capsys.readouterr().err
