"""The tokenizer of a bundle: the vocabulary, and the other rules as JSON.

A vocabulary that is used in place loads many times faster than the same words in JSON: for
WordPiece one word per line, for Unigram and BPE the binary format of `pieces.py`. `model.words`,
the number of words, replaces `model.vocab`, and for BPE the number of merges replaces
`model.merges`, so other readers cannot mistake the file for a tokenizer without words.

Many published files contain truncation and padding with values that differ from the model's (128
instead of 256), so the reader of a bundle sets them itself.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semblance_model.charsmap import find_charsmap_error
from semblance_model.field import Fields, shown
from semblance_model.refusal import Refusal
from semblance_model.vocabulary import Vocabulary, read_vocabulary

TOKENIZER_FILE = "tokenizer.json"

# Field of tokenizer_config.json -> field of BertNormalizer that must have the same value.
# transformers rebuilds the normalizer from the former; a bundle contains only the latter.
_NORMALIZER_FIELDS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


@dataclass(frozen=True)
class BundleTokenizer:
    """The bytes of the bundle's `tokenizer.json`, and its vocabulary."""

    rules: bytes
    vocabulary: Vocabulary

    def write(self, folder: Path) -> None:
        """Writes both files into `folder`."""
        (folder / TOKENIZER_FILE).write_bytes(self.rules)
        (folder / self.vocabulary.file).write_bytes(self.vocabulary.content)


def bundle_tokenizer(
    tokenizer: Fields,
    tokenizer_config: Fields,
    lowercase: bool,
    vocabulary_size: int,
    *,
    can_pad_left: bool = False,
) -> BundleTokenizer:
    """The tokenizer of the bundle.

    `lowercase` is `do_lower_case` of `sentence_bert_config.json`. `vocabulary_size` is the number
    of rows of the embedding table; every token id must be below it. A bundle has no padding, so
    its vectors are those of a model with `can_pad_left`: padding before a text does not change it.
    """
    _check_normalizer(tokenizer, tokenizer_config, lowercase)
    side = tokenizer_config.text("padding_side", "right")
    if side not in ("left", "right"):
        raise _refused(tokenizer_config, "padding_side", side, '"left" or "right"')
    if side == "left" and not can_pad_left:
        raise _refused(
            tokenizer_config,
            "padding_side",
            side,
            '"right": this model counts positions from the start of the padded text, so a vector '
            "depends on the other texts of a batch",
        )
    side = tokenizer_config.text("truncation_side", "right")
    if side != "right":
        raise _refused(tokenizer_config, "truncation_side", side, '"right"')
    vocabulary = read_vocabulary(tokenizer)
    highest = max([len(vocabulary.ids) - 1, *_added_ids(tokenizer, vocabulary.ids)])
    if highest >= vocabulary_size:
        raise _refused(
            tokenizer, "model.vocab", highest, f"only ids below vocab_size {vocabulary_size}"
        )
    rules = dict(tokenizer.values) | {"truncation": None, "padding": None}
    rules["model"] = vocabulary.rules
    try:
        text = json.dumps(rules, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _refused(tokenizer, "added_tokens", error.object[error.start], "Unicode") from error
    return BundleTokenizer(text, vocabulary)


def _check_normalizer(tokenizer: Fields, tokenizer_config: Fields, lowercase: bool) -> None:
    normalizer = tokenizer.section("normalizer")
    if normalizer.values.get("type") == "BertNormalizer":
        for name, twin in _NORMALIZER_FIELDS.items():
            if tokenizer_config.has(name):
                value = tokenizer_config.values[name]
                if normalizer.values.get(twin) != value:
                    raise _refused(
                        tokenizer,
                        f"normalizer.{twin}",
                        normalizer.values.get(twin),
                        f"{shown(value)} as {name} in tokenizer_config.json",
                    )
    if lowercase and not _lowercases(normalizer.values):
        raise _refused(
            tokenizer,
            "normalizer",
            normalizer.values.get("type"),
            "a lowercasing one, because do_lower_case is true in sentence_bert_config.json",
        )
    error = find_charsmap_error(normalizer.values)
    if error is not None:
        raise Refusal("model.tokenizer", f"{tokenizer.file}: field normalizer: {error}")


def _lowercases(normalizer: Any) -> bool:
    if not isinstance(normalizer, dict):
        return False
    if normalizer.get("type") == "Sequence":
        members = normalizer.get("normalizers")
        return isinstance(members, list) and any(_lowercases(member) for member in members)
    return normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase"))


def _added_ids(tokenizer: Fields, ids: dict[str, int]) -> list[int]:
    """The ids of the added tokens, which must be those that the tokenizers library gives them."""
    known = dict(ids)
    added: list[int] = []
    tokens = tokenizer.values.get("added_tokens", [])
    if not isinstance(tokens, list):
        raise _refused(tokenizer, "added_tokens", tokens, "a list")
    for token in tokens:
        fields = token if isinstance(token, dict) else {}
        content, number = fields.get("content"), fields.get("id")
        if not isinstance(number, int) or number < 0 or not isinstance(content, str):
            raise _refused(tokenizer, "added_tokens", token, "tokens with ids of 0 or more")
        # A token outside of the vocabulary gets the next id.
        expected = known.setdefault(content, len(known))
        if number != expected:
            raise _refused(tokenizer, "added_tokens", token, f"the id {expected} of this token")
        added.append(number)
    return added


def _refused(fields: Fields, name: str, value: object, wanted: str) -> Refusal:
    return Refusal(
        "model.tokenizer",
        f"{fields.file}: field {name} is {shown(value)}, expected {wanted}",
    )
