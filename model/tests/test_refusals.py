"""A model that a bundle cannot express is rejected by name, and nothing is written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint import Checkpoint
from conftest import REPOSITORY, Build
from semblance_model.refusal import Refusal

Change = Callable[[Checkpoint], None]


def config(**fields: Any) -> Change:
    return edit("config.json", **fields)


def edit(file: str, **fields: Any) -> Change:
    def change(model: Checkpoint) -> None:
        model.files[file] = model.files.get(file, {}) | fields

    return change


def pooling(**flags: Any) -> Change:
    return edit("1_Pooling/config.json", **flags)


def module(index: int, kind: str, path: str = "") -> Change:
    def change(model: Checkpoint) -> None:
        model.files["modules.json"].insert(
            index, {"path": path, "type": f"sentence_transformers.models.{kind}"}
        )

    return change


def without(file: str) -> Change:
    def change(model: Checkpoint) -> None:
        del model.files[file]

    return change


def tokenizer(field: str, **fields: Any) -> Change:
    def change(model: Checkpoint) -> None:
        model.files["tokenizer.json"][field] |= fields

    return change


def word(word: str, number: Any) -> Change:
    """Gives a word another id; None removes it."""

    def change(model: Checkpoint) -> None:
        words = model.files["tokenizer.json"]["model"]["vocab"]
        if number is None:
            del words[word]
        else:
            words[word] = number

    return change


def tensor(name: str, values: Any) -> Change:
    def change(model: Checkpoint) -> None:
        if values is None:
            del model.tensors[name]
        else:
            model.tensors[name] = values

    return change


def dense(**fields: Any) -> Change:
    def change(model: Checkpoint) -> None:
        module(2, "Dense", "2_Dense")(model)
        model.files["2_Dense/config.json"] = {"in_features": 8, "out_features": 4} | fields

    return change


def other_weights(file: str) -> Change:
    def change(model: Checkpoint) -> None:
        model.tensors = {}
        model.files[file] = "weights"

    return change


def all_of(*changes: Change) -> Change:
    def change(model: Checkpoint) -> None:
        for one in changes:
            one(model)

    return change


def template(number: int, times: int = 1) -> dict[str, Any]:
    """A post-processor that puts [CLS] before a text, with this id."""
    special = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    text, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [special] * times + [text],
        "pair": [special] * times + [text, other],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [number], "tokens": ["[CLS]"]}},
    }


def replaced(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


QUERY = "encoder.layer.1.attention.self.query.weight"
NAN = np.full((8, 8), np.nan, np.float32)
HUGE = np.full((40, 8), 3e38, np.float32)


def lengthen_last_word(model: Checkpoint) -> None:
    """Makes the word of the highest id a token of 2,000 bytes, and an added token."""
    rules = model.files["tokenizer.json"]
    vocabulary = rules["model"]["vocab"]
    word, number = max(vocabulary.items(), key=lambda item: item[1])
    del vocabulary[word]
    vocabulary["x" * 2_000] = number
    rules["added_tokens"].append({"id": number, "content": "x" * 2_000})


REFUSED: dict[str, tuple[str, Change, str]] = {
    "a class of another family": (
        "model.architecture",
        config(architectures=["RobertaModel"]),
        'config.json: field architectures is "RobertaModel", expected a class of Bert',
    ),
    "another model type": ("model.architecture", config(model_type="t5"), 'is "t5"'),
    "a decoder": ("model.architecture", config(is_decoder=True), "is_decoder is true"),
    "another task": (
        "model.architecture",
        edit("sentence_bert_config.json", transformer_task="fill-mask"),
        'transformer_task is "fill-mask"',
    ),
    "swish": ("model.hidden_activation", config(hidden_act="swish"), 'hidden_act is "swish"'),
    "relative positions": (
        "model.position_type",
        config(position_embedding_type="relative_key"),
        'position_embedding_type is "relative_key"',
    ),
    "heads that do not divide": (
        "model.invalid_field",
        config(num_attention_heads=3),
        "num_attention_heads is 3, expected a divisor of hidden_size 8",
    ),
    "a size of zero": (
        "model.invalid_field",
        config(num_hidden_layers=0),
        "num_hidden_layers is 0",
    ),
    "a size that is text": (
        "model.invalid_field",
        config(vocab_size="40"),
        'vocab_size is "40", expected an integer',
    ),
    "an epsilon that is not a number": (
        "model.invalid_field",
        config(layer_norm_eps=float("nan")),
        "layer_norm_eps is NaN",
    ),
    "an unknown flag": (
        "model.unsupported_field",
        pooling(pooling_mode_median_tokens=True),
        "pooling_mode_median_tokens is unknown",
    ),
    "an unknown key of a dense module": (
        "model.unsupported_field",
        dense(scale=2),
        "2_Dense/config.json: field scale is unknown",
    ),
    "an unknown mode": ("model.pooling", pooling(pooling_mode="median"), '"median"'),
    "an unknown mode of several": (
        "model.pooling",
        pooling(pooling_mode=["cls", "median"]),
        '["cls", "median"]',
    ),
    "no mode": ("model.pooling", pooling(pooling_mode=[]), "pooling_mode is []"),
    "prompts left out of the pooling": (
        "model.pooling",
        all_of(
            pooling(include_prompt=False),
            edit("config_sentence_transformers.json", prompts={"query": "find: "}),
        ),
        "include_prompt is false",
    ),
    "pooling of another width": (
        "model.invalid_field",
        pooling(word_embedding_dimension=9),
        "word_embedding_dimension is 9",
    ),
    "a dense module after the norm": ("model.module", module(3, "Dense", "3_Dense"), '"Dense"'),
    "a dense module before the pooling": ("model.module", module(1, "Dense", "1_Dense"), '"Dense"'),
    "a dense module without a folder": (
        "source.file_missing",
        module(2, "Dense", "2_Dense"),
        "2_Dense/config.json is missing",
    ),
    "a dense module of another width": (
        "model.invalid_field",
        dense(in_features=9),
        "2_Dense/config.json: field in_features is 9, expected the 8 features it is given",
    ),
    "a dense module with a residual": ("model.module", dense(use_residual=True), "use_residual"),
    "a dense module over tokens": (
        "model.module",
        dense(module_input_name="token_embeddings"),
        "module_input_name",
    ),
    "a dense module with another activation": (
        "model.activation",
        dense(activation_function="torch.nn.modules.activation.SiLU"),
        "expected Identity, Tanh, ReLU or GELU",
    ),
    "a dense module without weights": (
        "source.file_missing",
        dense(),
        "2_Dense/model.safetensors is missing",
    ),
    "a layer norm": ("model.module", module(2, "LayerNorm", "2_LayerNorm"), "LayerNorm"),
    "a module of foreign code": (
        "model.module",
        lambda model: model.files["modules.json"][0].update(type="mine.Transformer"),
        'entry 0 is "mine.Transformer"',
    ),
    "normalized twice": ("model.module", module(3, "Normalize", "3_Normalize"), "at most one"),
    "a module without a type": (
        "model.missing_field",
        lambda model: model.files["modules.json"][1].pop("type"),
        "modules.json: entry 1: field type is missing",
    ),
    "a default prompt that does not exist": (
        "model.prompt",
        edit(
            "config_sentence_transformers.json",
            prompts={"topic": "topic: "},
            default_prompt_name="subject",
        ),
        'default_prompt_name is "subject", expected null or one of the prompts: document, query, '
        "topic",
    ),
    "a tokenizer of whole words": (
        "model.tokenizer",
        tokenizer("model", type="WordLevel"),
        'model.type is "WordLevel", expected one of "WordPiece", "Unigram", "BPE"',
    ),
    "Unigram without scores": (
        "model.tokenizer",
        tokenizer("model", type="Unigram", vocab=[["a"]]),
        'model.vocab is [["a"]], expected a list of pieces with finite scores',
    ),
    "a piece twice": (
        "model.tokenizer",
        tokenizer("model", type="Unigram", vocab=[["a", 0.0], ["b", 0.0], ["a", -1.0]]),
        'model.vocab is "a", expected each piece once',
    ),
    "an empty piece": (
        "model.tokenizer",
        tokenizer("model", type="Unigram", vocab=[["a", 0.0], ["", 0.0]]),
        'model.vocab is "", expected pieces that are not empty',
    ),
    "an unknown piece outside of the vocabulary": (
        "model.tokenizer",
        tokenizer("model", type="Unigram", vocab=[["a", 0.0]], unk_id=1),
        "model.unk_id is 1, expected null or the id of a piece",
    ),
    "a character map that is not base64": (
        "model.tokenizer",
        tokenizer("normalizer", type="Precompiled", precompiled_charsmap="?"),
        "field normalizer: precompiled_charsmap is not base64",
    ),
    "random merges": (
        "model.tokenizer",
        tokenizer("model", type="BPE", dropout=0.1, merges=[]),
        "model.dropout is 0.1, expected null",
    ),
    "a merge of an unknown piece": (
        "model.tokenizer",
        tokenizer("model", type="BPE", merges=["word1 word2"], continuing_subword_prefix=None),
        'model.merges is "word1 word2", expected pieces of the vocabulary: "word1word2"',
    ),
    "a merge of three pieces": (
        "model.tokenizer",
        tokenizer("model", type="BPE", merges=["a b c"]),
        'model.merges is "a b c", expected pairs of pieces',
    ),
    "no merges": (
        "model.tokenizer",
        tokenizer("model", type="BPE", merges=None),
        "model.merges is null, expected a list",
    ),
    "an unknown token outside of the vocabulary": (
        "model.tokenizer",
        tokenizer("model", type="BPE", merges=[], unk_token="<unk>"),
        'model.unk_token is "<unk>", expected null or a token',
    ),
    "case by one file and not by the other": (
        "model.tokenizer",
        edit("tokenizer_config.json", do_lower_case=False),
        "normalizer.lowercase is true, expected false as do_lower_case",
    ),
    "lowercase that the tokenizer does not do": (
        "model.tokenizer",
        all_of(
            edit("tokenizer_config.json", do_lower_case=None),
            tokenizer("normalizer", lowercase=False),
            edit("sentence_bert_config.json", do_lower_case=True),
        ),
        "a lowercasing one",
    ),
    "padding on the left": (
        "model.tokenizer",
        edit("tokenizer_config.json", padding_side="left"),
        'padding_side is "left"',
    ),
    "truncation on the left": (
        "model.tokenizer",
        edit("tokenizer_config.json", truncation_side="left"),
        'truncation_side is "left"',
    ),
    "a token without an embedding": (
        "model.tokenizer",
        lambda model: model.files["tokenizer.json"]["model"]["vocab"].update(more=40),
        "model.vocab is 40, expected only ids below vocab_size 40",
    ),
    "an added token without an embedding": (
        "model.tokenizer",
        lambda model: model.files["tokenizer.json"]["added_tokens"].append(
            {"id": 40, "content": "more"}
        ),
        "model.vocab is 40, expected only ids below vocab_size 40",
    ),
    "an added token without an id": (
        "model.tokenizer",
        lambda model: model.files["tokenizer.json"]["added_tokens"].append({"id": None}),
        'added_tokens is {"id": null}, expected tokens with ids',
    ),
    "an added token with an id that the library does not give it": (
        "model.tokenizer",
        lambda model: model.files["tokenizer.json"]["added_tokens"].append(
            {"id": 30, "content": "more"}
        ),
        "expected the id 40 of this token",
    ),
    "a gap in the ids": (
        "model.tokenizer",
        word("word9", 99),
        "once: 14 is missing",
    ),
    "two words with one id": (
        "model.tokenizer",
        word("word9", 15),
        "once: 14 is missing",
    ),
    "an id that is no number": (
        "model.tokenizer",
        word("word9", "14"),
        "once: 14 is missing",
    ),
    "an empty word": (
        "model.tokenizer",
        all_of(word("word9", None), word("", 14)),
        'vocab is "", expected words that are not empty',
    ),
    "a word on two lines": (
        "model.tokenizer",
        all_of(word("word9", None), word("a\nb", 14)),
        r'vocab is "a\nb", expected words that are not empty and contain no line feed',
    ),
    "half a character": (
        "model.tokenizer",
        all_of(word("word9", None), word("\ud800", 14)),
        r'model.vocab is "\ud800", expected Unicode',
    ),
    "more tokens than positions": (
        "model.max_tokens",
        edit("sentence_bert_config.json", max_seq_length=25),
        "max_seq_length is 25, more than the 24 positions",
    ),
    "no room for a text": (
        "model.max_tokens",
        edit("sentence_bert_config.json", max_seq_length=2),
        "max_seq_length is 2, expected at least 3",
    ),
    "pickled weights that are not": (
        "model.weights_format",
        other_weights("pytorch_model.bin"),
        "pytorch_model.bin: not a checkpoint of torch, or damaged",
    ),
    "an index that is not": (
        "model.invalid_json",
        other_weights("model.safetensors.index.json"),
        "model.safetensors.index.json: not valid JSON",
    ),
    "weights of another program": (
        "model.weights_format",
        other_weights("tf_model.h5"),
        "tf_model.h5: this weight format is not supported",
    ),
    "weights that are not safetensors": (
        "model.weights_format",
        other_weights("model.safetensors"),
        "model.safetensors: not safetensors",
    ),
    "no weights": (
        "source.file_missing",
        lambda model: model.tensors.clear(),
        "model.safetensors is missing",
    ),
    "a normalizer of a list of words": (
        "model.tokenizer",
        edit(
            "tokenizer.json",
            normalizer={"type": "Sequence", "normalizers": ["x", {"type": "Lowercase"}]},
        ),
        "the tokenizers library rejects it",
    ),
    "a splitter that nobody has": (
        "model.tokenizer",
        edit("tokenizer.json", pre_tokenizer={"type": "Nothing"}),
        "the tokenizers library rejects it",
    ),
    "a template with other ids": (
        "model.tokenizer",
        edit("tokenizer.json", post_processor=template(7)),
        'field post_processor: "[CLS]" has the id 7, in the vocabulary 2',
    ),
    "a template without room for a text": (
        "model.tokenizer",
        all_of(
            edit("tokenizer.json", post_processor=template(2, times=16)),
            edit("sentence_bert_config.json", max_seq_length=16),
        ),
        "field post_processor: 16 special tokens, but max_tokens 16",
    ),
    "no token for unknown words": (
        "model.tokenizer",
        lambda model: model.files["tokenizer.json"]["model"].pop("unk_token"),
        "field model.unk_token: null",
    ),
    "a token for unknown words that is no word": (
        "model.tokenizer",
        tokenizer("model", unk_token="<unk>"),
        'field model.unk_token: "<unk>"',
    ),
    "another version of the rules": (
        "model.tokenizer",
        edit("tokenizer.json", version="2.0"),
        'field version: "2.0", expected "1.0"',
    ),
    "no list of added tokens": (
        "model.tokenizer",
        edit("tokenizer.json", added_tokens=None),
        "added_tokens is null, expected a list",
    ),
    "an added token that is a number": (
        "model.tokenizer",
        edit("tokenizer.json", added_tokens=[5]),
        "added_tokens is 5, expected tokens with ids",
    ),
    "an added token with another id": (
        "model.tokenizer",
        lambda model: model.files["tokenizer.json"]["added_tokens"][2].update(id=3),
        "expected the id 2 of this token",
    ),
    "an added token without an end": (
        "model.tokenizer",
        lengthen_last_word,
        "expected a short content and an id",
    ),
    "words of any length": (
        "model.tokenizer",
        tokenizer("model", max_input_chars_per_word=1 << 40),
        "field model.max_input_chars_per_word: 1099511627776, expected an integer up to 1000",
    ),
    "a replacement that is long": (
        "model.tokenizer",
        edit("tokenizer.json", normalizer=replaced("a", "x" * 200_000)),
        "field normalizer: lengthens a text by up to 200000",
    ),
    "replacements that double": (
        "model.tokenizer",
        edit(
            "tokenizer.json",
            normalizer={"type": "Sequence", "normalizers": [replaced("a", "aa")] * 30},
        ),
        "field normalizer: lengthens a text",
    ),
    "an architecture that is a list": (
        "model.invalid_field",
        config(architectures=[[]]),
        "architectures is [[]]",
    ),
    "a billion layers": (
        "model.too_large",
        config(num_hidden_layers=10**9),
        "1000000000 layers, the limit is 1000",
    ),
    "no config": ("source.file_missing", without("config.json"), "config.json is missing"),
    "no tokenizer": (
        "source.file_missing",
        without("tokenizer.json"),
        "tokenizer.json is missing; write tokenizer.json with transformers: AutoTokenizer",
    ),
    "no tokenizer but a vocabulary of another class": (
        "source.file_missing",
        all_of(
            without("tokenizer.json"),
            lambda model: model.files.update({"vocab.txt": "[UNK]\n"}),
            edit("tokenizer_config.json", tokenizer_class="MPNetTokenizer"),
        ),
        'tokenizer_class "MPNetTokenizer"',
    ),
    "no tokenizer but a model of sentencepiece": (
        "source.file_missing",
        all_of(
            without("tokenizer.json"),
            lambda model: model.files.update({"sentencepiece.bpe.model": "pieces"}),
            edit("tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer"),
        ),
        "tokenizer.json is missing; write tokenizer.json with transformers: AutoTokenizer",
    ),
    "a vocabulary without special tokens": (
        "model.tokenizer",
        all_of(
            without("tokenizer.json"),
            lambda model: model.files.update({"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[MASK]\n"}),
        ),
        'vocab.txt: does not contain the sep_token "[SEP]"',
    ),
    "no pooling config": (
        "source.file_missing",
        without("1_Pooling/config.json"),
        "1_Pooling/config.json is missing",
    ),
    "a pooling folder outside": (
        "source.unsafe_path",
        lambda model: model.files["modules.json"][1].update(path="../1_Pooling"),
        "../1_Pooling",
    ),
    "an absolute pooling folder": (
        "source.unsafe_path",
        lambda model: model.files["modules.json"][1].update(path="/etc"),
        "/etc",
    ),
    "half a JSON file": (
        "model.invalid_json",
        lambda model: model.files.update({"config.json": '{"architectures":'}),
        "config.json: not valid JSON",
    ),
    "JSON too deep": (
        "model.invalid_json",
        lambda model: model.files.update({"config.json": "[" * 200_000}),
        "config.json: not valid JSON",
    ),
    "a list for a config": (
        "model.invalid_json",
        lambda model: model.files.update({"config.json": "[]"}),
        "config.json: expected an object",
    ),
    "a tensor less": (
        "model.tensor_missing",
        tensor(QUERY, None),
        f"model.safetensors: tensor {QUERY} is missing",
    ),
    "a tensor of another shape": (
        "model.tensor_shape",
        tensor(QUERY, np.zeros((8, 9), np.float32)),
        f"tensor {QUERY} has shape [8, 9], expected [8, 8]",
    ),
    "doubles": (
        "model.tensor_type",
        tensor(QUERY, np.zeros((8, 8), np.float64)),
        f"tensor {QUERY} has type F64",
    ),
    "not a number": ("model.tensor_values", tensor(QUERY, NAN), f"tensor {QUERY} contains values"),
    "weights that overflow": (
        "model.output",
        tensor("encoder.layer.0.attention.self.query.weight", HUGE[:8]),
        "finite",
    ),
}

REFUSED_CROSS_ENCODERS: dict[str, tuple[str, Change, str]] = {
    "another activation": (
        "model.activation",
        config(sbert_ce_default_activation_function="torch.nn.Softmax"),
        'sbert_ce_default_activation_function is "torch.nn.Softmax"',
    ),
    "pooling": (
        "model.module",
        lambda model: model.files.update(
            Checkpoint().files | {"config.json": model.files["config.json"]}
        ),
        "must not have Pooling or Normalize",
    ),
    "labels that are not in the weights": (
        "model.tensor_shape",
        config(num_labels=4),
        "tensor classifier.weight has shape [2, 8], expected [4, 8]",
    ),
    "no pooler": (
        "model.tensor_missing",
        tensor("bert.pooler.dense.weight", None),
        "tensor pooler.dense.weight is missing",
    ),
}


def refused(make: Build, output: Path, model: Checkpoint, change: Change) -> Refusal:
    change(model)
    with pytest.raises(Refusal) as caught:
        make(model)
    left = [path for path in output.rglob("*") if not path.is_dir()] if output.exists() else []
    assert left == [], "a refusal leaves no file behind"
    assert not (output / "default").is_symlink()
    return caught.value


@pytest.mark.parametrize("case", REFUSED)
def test_refused(make: Build, output: Path, case: str) -> None:
    code, change, message = REFUSED[case]
    refusal = refused(make, output, Checkpoint(), change)
    assert refusal.code == code
    assert message in refusal.message
    assert "\n" not in refusal.message


@pytest.mark.parametrize("case", REFUSED_CROSS_ENCODERS)
def test_refused_cross_encoder(make: Build, output: Path, case: str) -> None:
    code, change, message = REFUSED_CROSS_ENCODERS[case]
    refusal = refused(make, output, Checkpoint(labels=2), change)
    assert refusal.code == code
    assert message in refusal.message


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", ".hidden", "ä", "a" * 65, "default"])
def test_a_name_that_is_no_folder_name_is_refused(make: Build, output: Path, name: str) -> None:
    with pytest.raises(Refusal) as caught:
        make(Checkpoint(), name=name)
    assert caught.value.code == "output.name"
    assert not output.exists()


def raised_codes() -> set[str]:
    """Every code in the sources."""
    codes: set[str] = set()
    for path in (REPOSITORY / "model" / "src").rglob("*.py"):
        codes |= set(re.findall(r'Refusal\(\s*"([^"]+)"', path.read_text(encoding="utf-8")))
    return codes


def test_every_code_has_a_test() -> None:
    tests = "".join(
        path.read_text(encoding="utf-8")
        for path in (REPOSITORY / "model" / "tests").glob("test_*.py")
    )
    assert {code for code in raised_codes() if not re.search(rf"\b{code}\b", tests)} == set()


def test_the_readme_lists_every_code_and_no_other() -> None:
    text = (REPOSITORY / "model" / "README.md").read_text(encoding="utf-8")
    section = text.split("## What is refused")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE))
    codes = raised_codes()
    assert len(codes) > 20
    assert listed == codes
