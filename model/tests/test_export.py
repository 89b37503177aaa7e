"""ONNX exports: the bundle computes what the export does, and other exports are refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from checkpoint import Checkpoint
from conftest import Bundle
from semblance_model import export_attention, rewrite
from semblance_model.build import Order, build
from semblance_model.cli import main
from semblance_model.description import Choices
from semblance_model.inputs import inputs_of
from semblance_model.panels import panels_of
from semblance_model.refusal import Refusal

EXPORTS = Path(__file__).parent / "data" / "exports"

# Operators of the engine in each: products, where fused projections count once, and attention.
PRODUCTS = {
    "bert": 10,
    "roberta": 10,
    "mpnet": 12,
    "albert": 11,
    "modernbert": 8,
    "deberta": 14,
    "qwen3": 14,
    "nomic": 14,
}

TOLERANCE = 2e-5

Change = Callable[[ModelProto], None]


def folder_of(folder: Path, name: str, change: Change | None = None, **files: Any) -> Path:
    """A folder with the export `name`, changed, and a tokenizer."""
    model = Checkpoint(vocabulary=200, hidden=32)
    model.tensors = {}
    del model.files["config.json"]
    if name == "deberta":
        model.files = {it: v for it, v in model.files.items() if it.startswith("tokenizer")}
        model.files["config.json"] = {"model_type": "deberta-v2", "max_position_embeddings": 64}
    model.files |= files
    source = model.write(folder / "export")
    (source / "onnx").mkdir()
    if change is None:
        shutil.copy(EXPORTS / f"{name}.onnx", source / "onnx" / "model.onnx")
    else:
        changed = onnx.load(EXPORTS / f"{name}.onnx")
        change(changed)
        onnx.save(changed, source / "onnx" / "model.onnx")
    return source


def bundle_of(source: Path, **options: Any) -> Bundle:
    order = Order(str(source), None, source.parent / "out", None, "export", **options)
    return Bundle(build(order, lambda _: None), [])


def refused(source: Path, **options: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        bundle_of(source, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def texts_of(special: int | None = None) -> list[Any]:
    random = np.random.default_rng(11)
    texts = [random.integers(5, 200, length) for length in (9, 1, 16, 4)]
    if special is not None:
        texts[0][3] = special
        texts[2][0] = special
    return texts


def run_export(path: Path, ids: Any) -> Any:
    """What the export gives for one text."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = {
        "input_ids": ids[None].astype(np.int64),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "token_type_ids": np.zeros((1, len(ids)), np.int64),
        "position_ids": np.arange(len(ids))[None],
    }
    (output,) = session.run(None, {it.name: values[it.name] for it in session.get_inputs()})
    return output[0] if output.ndim == 3 else output


# 0 and 1 are padding in some of them: positions are counted from ids.
@pytest.mark.parametrize("special", [None, 0, 1])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_bundle_computes_what_the_export_does(
    tmp_path: Path, name: str, special: int | None
) -> None:
    source = folder_of(tmp_path, name)
    bundle = bundle_of(source)
    session = bundle.session()
    texts = texts_of(special)
    pairs = [(ids, np.zeros_like(ids)) for ids in texts]
    (found,) = session.inner.run(None, inputs_of(session.inner, session.words, pairs))
    expected = np.concatenate([run_export(source / "onnx" / "model.onnx", ids) for ids in texts])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())
    graph = onnx.load(bundle.folder / "model.onnx", load_external_data=False).graph
    inputs = [it.name for it in graph.input]
    assert bundle.manifest["inputs"] == inputs
    body = graph.node[-1].attribute[0].g
    products = [node for node in body.node if node.domain == "semblance"]
    assert len(products) == PRODUCTS[name]
    assert bundle.manifest["task"] == ("cross-encoder" if name == "deberta" else "embedding")


def test_the_table_of_an_export_may_be_narrower_than_its_output(tmp_path: Path) -> None:
    manifest = bundle_of(folder_of(tmp_path, "albert")).manifest
    assert (manifest["embedding_size"], manifest["hidden_size"]) == (16, 32)
    assert manifest["files"]["words"]["size_bytes"] == 200 * 16 * 4


def test_layers_that_share_weights_share_them_in_the_bundle(tmp_path: Path) -> None:
    bundle = bundle_of(folder_of(tmp_path, "albert"))
    graph = onnx.load(bundle.folder / "model.onnx", load_external_data=False).graph
    weights = [it.name for it in graph.initializer if it.name.endswith(".weight.values")]
    # Projections, attention, two of the feed-forward layer, and that of the embedding.
    assert len(weights) == 5


def external(source: Path) -> None:
    path = source / "onnx" / "model.onnx"
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="model.onnx_data", size_threshold=0)


def test_weights_outside_the_export_are_the_same_weights(tmp_path: Path) -> None:
    whole = bundle_of(folder_of(tmp_path / "whole", "bert"))
    source = folder_of(tmp_path / "apart", "bert")
    external(source)
    assert (source / "onnx" / "model.onnx_data").stat().st_size > 50_000
    apart = bundle_of(source)
    assert apart.manifest["files"] == whole.manifest["files"]
    assert apart.manifest["revision"] != whole.manifest["revision"]


def test_weights_outside_that_are_not_there_are_named(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "bert")
    external(source)
    data = source / "onnx" / "model.onnx_data"
    data.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    refusal = refused(source)
    assert (refusal.code, "git lfs pull" in str(refusal)) == ("source.lfs_pointer", True)
    assert "onnx/model.onnx_data" in str(refusal)
    data.unlink()
    refusal = refused(source)
    assert refusal.code == "source.file_missing"
    assert "onnx/model.onnx_data is missing; onnx/model.onnx names it" in str(refusal)


def outside(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../../secret")


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    model = onnx.load(EXPORTS / "bert.onnx")
    source = folder_of(tmp_path, "bert")
    outside(model)
    (source / "onnx" / "model.onnx").write_bytes(model.SerializeToString())
    assert refused(source).code == "source.unsafe_path"


def fixed_axes(model: ModelProto) -> None:
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[1].dim_value = 16


def another_input(model: ModelProto) -> None:
    value = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, (1, 3))
    model.graph.input.append(value)


def cache_input(model: ModelProto) -> None:
    shape = ("batch_size", 2, "past", 8)
    name = "past_key_values.0.key"
    model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def another_output(model: ModelProto) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "last_hidden_state":
                node.output[index] = "output"
    model.graph.output[0].name = "output"


def two_outputs(model: ModelProto) -> None:
    node = helper.make_node("Identity", ["last_hidden_state"], ["token_embeddings"])
    model.graph.node.append(node)
    value = helper.make_tensor_value_info("token_embeddings", TensorProto.FLOAT, ("b", "t", 32))
    model.graph.output.append(value)


def narrow(model: ModelProto) -> None:
    tensor = next(it for it in model.graph.initializer if len(it.dims) == 2)
    values = numpy_helper.to_array(tensor)
    small = numpy_helper.from_array((values * 10).astype(np.int8), f"{tensor.name}.q")
    model.graph.initializer.append(small)


def quantized(model: ModelProto) -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["last_hidden_state"], ["q", "s", "z"])
    model.graph.node.append(node)


def fused(model: ModelProto) -> None:
    model.graph.node[0].op_type = "EmbedLayerNormalization"
    model.graph.node[0].domain = "com.microsoft"


def half_output(model: ModelProto) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "last_hidden_state":
                node.output[index] = "wide"
    half = helper.make_node("Cast", ["wide"], ["last_hidden_state"], to=TensorProto.FLOAT16)
    model.graph.node.append(half)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def float_ids(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def no_lookup(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Gather" and "word_embeddings" in node.input[0]:
            node.input[1] = "attention_mask"


def unknown_operator(model: ModelProto) -> None:
    model.graph.node[-1].domain = "mine"


REFUSED: dict[str, tuple[str, Change, str]] = {
    "fixed axes": ("onnx.shape", fixed_axes, "[batch_size, 16], expected [batch, tokens]"),
    "another input": ("onnx.input", another_input, "pixel_values"),
    "a cache": ("onnx.input", cache_input, "optimum: --task feature-extraction"),
    "an output without a known name": (
        "onnx.output",
        another_output,
        "none has a known name; name the one with [batch, tokens, features] with --onnx-output",
    ),
    "two outputs": ("onnx.output", two_outputs, "several of them are known"),
    "int8 weights": ("onnx.quantized", narrow, "is int8); export the model in fp32"),
    "int8 operators": ("onnx.quantized", quantized, "operator DynamicQuantizeLinear"),
    "a fused embedding layer": ("onnx.fused", fused, "EmbedLayerNormalization hides the weights"),
    "fp16": ("onnx.type", half_output, "is float16, expected float: export in fp32"),
    "ids that are not integers": ("onnx.type", float_ids, "input_ids is not int64 or int32"),
    "no table": ("onnx.table", no_lookup, "0 tables of rows are looked up by input_ids"),
    "an operator of other code": ("onnx.format", unknown_operator, "ONNX Runtime rejects it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_export_that_no_bundle_can_hold_is_refused(tmp_path: Path, case: str) -> None:
    code, change, message = REFUSED[case]
    refusal = refused(folder_of(tmp_path, "bert", change))
    assert not list(tmp_path.glob("out/*/*/bundle.json"))
    assert refusal.code == code
    assert message in str(refusal)
    assert str(refusal).startswith("onnx/model.onnx: ")


def test_the_output_can_be_named(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "bert", another_output)
    assert bundle_of(source, choices=Choices(onnx_output="output")).manifest["hidden_size"] == 32
    refusal = refused(
        folder_of(tmp_path / "b", "bert"), choices=Choices(onnx_output="pooler_output")
    )
    assert refusal.code == "onnx.output"
    assert "--onnx-output pooler_output: the outputs are last_hidden_state" in str(refusal)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "onnx.input"),
        (b"not an onnx model", "onnx.format"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "source.lfs_pointer"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    source = folder_of(tmp_path, "bert")
    (source / "onnx" / "model.onnx").write_bytes(content)
    assert refused(source).code == code


def test_attention_that_differs_is_left_to_onnx_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scale(model: ModelProto) -> None:
        for node in model.graph.node:
            for attribute in node.attribute:
                values = numpy_helper.to_array(attribute.t) if attribute.HasField("t") else None
                if values is not None and values.size == 1 and np.allclose(values, 8**-0.5):
                    attribute.t.CopyFrom(numpy_helper.from_array(values * np.float32(2)))

    source = folder_of(tmp_path, "bert", scale)
    # Another scale is seen at once; without this check, the comparison with the export finds it.
    for tolerance in (export_attention._SCALE_TOLERANCE, 10):
        monkeypatch.setattr(export_attention, "_SCALE_TOLERANCE", tolerance)
        bundle = bundle_of(source)
        body = onnx.load(bundle.folder / "model.onnx", load_external_data=False)
        nodes = body.graph.node[-1].attribute[0].g.node
        assert [it.op_type for it in nodes if it.op_type == "Attention"] == []
        assert len([it for it in nodes if it.op_type == "Softmax"]) == 2


def test_a_graph_that_differs_from_the_export_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "panels_of", lambda weight: panels_of(weight) * 1.0005)
    refusal = refused(folder_of(tmp_path, "bert"))
    assert refusal.code == "onnx.mismatch"
    assert "differs from the export by" in str(refusal)


def test_more_tokens_than_the_export_has_positions_are_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "bert")
    refusal = refused(source, choices=Choices(max_tokens=65))
    assert refusal.code == "model.max_tokens"
    assert "--max-tokens is 65, more than the 64 positions of the model" in str(refusal)

    # Without a name, the table of positions is found when the text does not fit.
    def unnamed(model: ModelProto) -> None:
        tables = [it for it in model.graph.initializer if "position_embeddings" in it.name]
        for tensor in tables:
            for node in model.graph.node:
                for index, name in enumerate(node.input):
                    if name == tensor.name:
                        node.input[index] = "places"
            tensor.name = "places"

    other = folder_of(tmp_path / "other", "bert", unnamed)
    assert refused(other, choices=Choices(max_tokens=65)).code == "onnx.mismatch"
    assert bundle_of(other, choices=Choices(max_tokens=64)).manifest["max_tokens"] == 64


def test_tokens_without_any_limit_are_asked_for(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "modernbert", tokenizer_config={})
    (source / "sentence_bert_config.json").unlink()
    (source / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30}))
    refusal = refused(source)
    assert (refusal.code, "pass --max-tokens" in str(refusal)) == ("model.max_tokens", True)


def write_config(source: Path, **fields: str) -> None:
    """Writes `tokenizer_config.json`."""
    (source / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16, **fields}))


def test_a_decoder_may_be_padded_on_the_left(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "qwen3")
    write_config(source, padding_side="left", chat_template="{{ messages }}")
    assert bundle_of(source).manifest["inputs"] == ["word_embeddings", "positions", "offsets"]


def test_a_model_that_counts_positions_from_the_padding_may_not(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "bert")
    write_config(source, padding_side="left")
    refusal = refused(source)
    assert refusal.code == "onnx.mismatch"
    assert "padded on the left" in str(refusal)


@pytest.mark.parametrize("name", PRODUCTS)
def test_an_export_can_be_built_in_int8(tmp_path: Path, name: str) -> None:
    source = folder_of(tmp_path, name)
    said: list[str] = []
    order = Order(str(source), None, tmp_path / "out", None, "export", precision="int8")
    bundle = Bundle(build(order, said.append), [])
    error = next(line for line in said if line.startswith("int8 against fp32"))
    body = onnx.load(bundle.folder / "model.onnx", load_external_data=False)
    nodes = body.graph.node[-1].attribute[0].g.node
    products = [node.op_type for node in nodes if node.domain == "semblance"]
    narrow = [it for it in products if it.startswith("Byte")]
    # The product that gives the logits stays in fp32.
    assert len(products) - len(narrow) == (1 if name == "deberta" else 0)
    whole = bundle_of(source)
    assert bundle.manifest["precision"] == "int8"
    sizes = [it.manifest["files"]["weights"]["size_bytes"] for it in (bundle, whole)]
    assert sizes[0] < 0.6 * sizes[1]
    texts = texts_of()
    pairs = [(ids, np.zeros_like(ids)) for ids in texts]
    outputs = [
        session.inner.run(None, inputs_of(session.inner, session.words, pairs))[0]
        for session in (bundle.session(), whole.session())
    ]
    cosines = np.sum(outputs[0] * outputs[1], axis=-1)
    cosines /= np.linalg.norm(outputs[0], axis=-1) * np.linalg.norm(outputs[1], axis=-1)
    print(name, error)
    assert cosines.min() > 0.98


def test_a_checkpoint_is_preferred_unless_the_export_is_asked_for(tmp_path: Path) -> None:
    source = Checkpoint(vocabulary=200, hidden=32).write(tmp_path / "both")
    (source / "onnx").mkdir()
    shutil.copy(EXPORTS / "bert.onnx", source / "onnx" / "model.onnx")
    assert "inputs" not in bundle_of(source).manifest
    assert "inputs" in bundle_of(source, choices=Choices(from_onnx=True)).manifest


def test_a_family_that_is_not_known_is_built_from_its_export(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "modernbert")
    config = {"model_type": "modernbert", "max_position_embeddings": 40}
    (source / "config.json").write_text(json.dumps(config))
    assert bundle_of(source).manifest["max_tokens"] == 16
    (source / "onnx" / "model.onnx").unlink()
    (source / "model.safetensors").write_bytes(b"")
    refusal = refused(source)
    assert refusal.code == "model.architecture"
    assert "is built from its ONNX export, onnx/model.onnx" in str(refusal)


def test_an_export_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Checkpoint().write(tmp_path / "tiny-model")
    arguments = ["build", "--source", str(source), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--from-onnx"]) == 2
    assert "onnx/model.onnx or model.onnx is missing" in capsys.readouterr().err
