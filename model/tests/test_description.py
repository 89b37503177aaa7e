"""What a folder says ends up in the manifest, as sentence-transformers would understand it."""

import json
from typing import Any

import pytest

from checkpoint import Checkpoint
from conftest import Build
from semblance_model.refusal import Refusal


def test_the_manifest_has_exactly_these_fields(make: Build) -> None:
    manifest = make(Checkpoint()).manifest
    files = manifest.pop("files")
    assert manifest == {
        "schema_version": 3,
        "model_name": "tiny-model",
        "source": "folder:tiny-model",
        "revision": manifest["revision"],
        "licence": "unknown",
        "task": "embedding",
        "hidden_size": 8,
        "vocabulary_size": 40,
        "max_tokens": 16,
        "pooling": "mean",
        "normalize": True,
        "prompts": {},
        "labels": None,
        "activation": None,
        "precision": "fp32",
        "onnxruntime": "1.32.0",
        "isa": "any",
    }
    assert manifest["revision"].startswith("sha256:")
    assert {role: file["path"] for role, file in files.items()} == {
        "graph": "model.onnx",
        "weights": "model.weights",
        "words": "model.words",
        "tokenizer": "tokenizer.json",
        "vocabulary": "vocabulary.txt",
    }


def test_the_manifest_is_canonical_json(make: Build) -> None:
    text = (make(Checkpoint()).folder / "bundle.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


@pytest.mark.parametrize(
    ("flag", "pooling"),
    [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len"),
    ],
)
def test_pooling_flags_of_old_folders(make: Build, flag: str, pooling: str) -> None:
    assert make(Checkpoint(pooling=flag)).manifest["pooling"] == pooling


@pytest.mark.parametrize(
    ("mode", "pooling"),
    [
        ("cls", "cls"),
        ("max", "max"),
        ("mean", "mean"),
        ("mean_sqrt_len_tokens", "mean_sqrt_len"),
        (["mean"], "mean"),
    ],
)
def test_pooling_mode_of_new_folders(make: Build, mode: object, pooling: str) -> None:
    model = Checkpoint()
    model.files["1_Pooling/config.json"] = {"embedding_dimension": 8, "pooling_mode": mode}
    assert make(model).manifest["pooling"] == pooling


def test_no_pooling_flag_at_all_is_mean(make: Build) -> None:
    model = Checkpoint()
    model.files["1_Pooling/config.json"] = {"word_embedding_dimension": 8}
    assert make(model).manifest["pooling"] == "mean"


def test_without_the_normalize_module_nothing_is_normalized(make: Build) -> None:
    assert make(Checkpoint(normalize=False)).manifest["normalize"] is False


def test_without_modules_json_mean_pooling_and_a_note(make: Build) -> None:
    model = Checkpoint()
    del model.files["modules.json"]
    bundle = make(model)
    assert (bundle.manifest["pooling"], bundle.manifest["normalize"]) == ("mean", False)
    assert any(line.startswith("note: modules.json is missing") for line in bundle.said)


def test_module_types_of_the_present_layout(make: Build) -> None:
    model = Checkpoint()
    for entry, kind in zip(
        model.files["modules.json"],
        (
            "base.modules.transformer.Transformer",
            "sentence_transformer.modules.pooling.Pooling",
            "sentence_transformer.modules.normalize.Normalize",
        ),
        strict=True,
    ):
        entry["type"] = f"sentence_transformers.{kind}"
    assert make(model).manifest["normalize"] is True


def test_the_transformer_may_lie_in_its_own_folder(make: Build, tmp_path: Any) -> None:
    model = Checkpoint()
    model.files["modules.json"][0]["path"] = "0_Transformer"
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "sentence_bert_config.json",
    ):
        model.files[f"0_Transformer/{name}"] = model.files.pop(name)
    folder = model.write(tmp_path / "tiny-model")
    (folder / "model.safetensors").rename(folder / "0_Transformer" / "model.safetensors")
    model.tensors = {}
    assert make(model).manifest["max_tokens"] == 16


@pytest.mark.parametrize(
    ("sentence", "tokenizer", "expected"),
    [
        ({"max_seq_length": 12}, {"model_max_length": 20}, 12),
        ({"max_seq_length": 24}, {"model_max_length": 20}, 24),
        ({"max_seq_length": None}, {"model_max_length": 20}, 20),
        ({}, {"model_max_length": 512}, 24),
        ({}, {"model_max_length": 1000000000000000019884624838656}, 24),
        ({}, {}, 24),
    ],
)
def test_max_tokens_follows_sentence_transformers(
    make: Build, sentence: dict[str, Any], tokenizer: dict[str, Any], expected: int
) -> None:
    model = Checkpoint(positions=24)
    model.files["sentence_bert_config.json"] = sentence
    model.files["tokenizer_config.json"] = tokenizer
    assert make(model).manifest["max_tokens"] == expected


def test_prompts_are_kept(make: Build) -> None:
    model = Checkpoint()
    model.files["config_sentence_transformers.json"] = {
        "prompts": {"query": "query: ", "document": None},
        "default_prompt_name": None,
    }
    assert make(model).manifest["prompts"] == {"document": "", "query": "query: "}


def test_a_default_prompt_that_is_empty_is_no_prompt(make: Build) -> None:
    model = Checkpoint()
    model.files["config_sentence_transformers.json"] = {
        "prompts": {"query": ""},
        "default_prompt_name": "query",
    }
    manifest = make(model).manifest
    assert manifest["prompts"] == {"query": ""}
    assert "default_prompt" not in manifest


def test_a_default_prompt_is_kept(make: Build) -> None:
    model = Checkpoint()
    model.files["config_sentence_transformers.json"] = {
        "prompts": {"topic": "Name the topic: "},
        "default_prompt_name": "topic",
    }
    assert make(model).manifest["default_prompt"] == "topic"


def test_every_model_has_the_prompts_query_and_document(make: Build) -> None:
    model = Checkpoint()
    model.files["config_sentence_transformers.json"] = {"default_prompt_name": "document"}
    assert "default_prompt" not in make(model).manifest


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model", "Apache-2.0"),
        ("---\r\nlicense: MIT\r\n---\r\n", "MIT"),
        ("---\nlicense: other\n---\n", "unknown"),
        ("license: mit\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_licence_comes_from_the_model_card(make: Build, card: str, licence: str) -> None:
    model = Checkpoint()
    model.files["README.md"] = card
    assert make(model).manifest["licence"] == licence


def test_the_tokenizer_loses_truncation_and_padding_and_nothing_else(make: Build) -> None:
    model = Checkpoint()
    rebuilt = make(model).whole_tokenizer()
    assert rebuilt == model.files["tokenizer.json"] | {"truncation": None, "padding": None}


def test_the_words_stand_one_a_line_and_their_number_in_their_place(make: Build) -> None:
    model = Checkpoint()
    words = model.files["tokenizer.json"]["model"]["vocab"]
    # Breaks that only str.splitlines and files in text mode take for ends of lines.
    words |= {"caf\u2028\u0085": words.pop("word0"), "a\r": words.pop("word1")}
    folder = make(model).folder
    lines = (folder / "vocabulary.txt").read_bytes().decode().split("\n")
    assert lines == [*sorted(words, key=words.__getitem__), ""]
    rules = json.loads((folder / "tokenizer.json").read_text())["model"]
    assert (rules.pop("words"), "vocab" in rules) == (40, False)


@pytest.mark.parametrize(("labels", "activation"), [(1, "sigmoid"), (3, "identity")])
def test_a_cross_encoder_has_labels_and_the_usual_activation(
    make: Build, labels: int, activation: str
) -> None:
    manifest = make(Checkpoint(labels=labels)).manifest
    assert manifest["task"] == "cross-encoder"
    assert (manifest["labels"], manifest["activation"]) == (labels, activation)
    assert (manifest["pooling"], manifest["normalize"]) == (None, None)


def test_a_cross_encoder_has_the_names_of_its_labels(make: Build) -> None:
    model = Checkpoint(labels=3)
    names = {"2": "neutral", "0": "contradiction", "1": "entailment"}
    model.files["config.json"]["id2label"] = names
    manifest = make(model).manifest
    assert manifest["label_names"] == ["contradiction", "entailment", "neutral"]


def test_the_usual_names_of_labels_are_not_repeated(make: Build) -> None:
    assert "label_names" not in make(Checkpoint(labels=3)).manifest


def test_names_of_other_labels_are_not_used(make: Build) -> None:
    model = Checkpoint(labels=3)
    model.files["config.json"] |= {"num_labels": 3, "id2label": {"0": "no", "1": "yes"}}
    bundle = make(model)
    assert "label_names" not in bundle.manifest
    assert any("id2label does not name the labels from 0 to 2" in line for line in bundle.said)


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        (
            "config.json",
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
        ),
        ("config.json", {"sbert_ce_default_activation_function": "torch.nn.Identity"}),
        ("config_sentence_transformers.json", {"activation_fn": "torch.nn.Identity"}),
    ],
)
def test_the_activation_may_be_named_in_three_places(
    make: Build, file: str, fields: dict[str, Any]
) -> None:
    model = Checkpoint(labels=1)
    model.files[file] = model.files.get(file, {}) | fields
    assert make(model).manifest["activation"] == "identity"


def test_an_activation_of_foreign_code_is_ignored_with_a_note(make: Build) -> None:
    model = Checkpoint(labels=1)
    model.files["config.json"]["sbert_ce_default_activation_function"] = "mine.Scale"
    bundle = make(model)
    assert bundle.manifest["activation"] == "sigmoid"
    assert any('"mine.Scale" is not in torch' in line for line in bundle.said)


def test_a_cross_encoder_with_a_default_prompt_is_refused(make: Build) -> None:
    model = Checkpoint(labels=1)
    model.files["config_sentence_transformers.json"] = {
        "prompts": {"topic": "Name the topic: "},
        "default_prompt_name": "topic",
    }
    with pytest.raises(Refusal, match="a cross-encoder has no prompts") as caught:
        make(model)
    assert caught.value.code == "model.prompt"


@pytest.mark.parametrize("file", ["tokenizer_config.json", "chat_template.jinja"])
def test_a_chat_template_needs_modules(make: Build, file: str) -> None:
    model = Checkpoint()
    for name in [it for it in model.files if it == "modules.json" or it[0].isdigit()]:
        del model.files[name]
    if file == "tokenizer_config.json":
        model.files[file] |= {"chat_template": "{{ messages }}"}
    else:
        model.files[file] = "{{ messages }}"
    with pytest.raises(Refusal, match=r"modules\.json is missing") as caught:
        make(model)
    assert caught.value.code == "model.unsupported_field"
    whole = Checkpoint()
    whole.files["tokenizer_config.json"] |= {"chat_template": "{{ messages }}"}
    make(whole)
