"""The tokenizer of a bundle: the vocabulary, one word per line, and the other rules as JSON.

A list of words loads many times faster than the same words in JSON. `model.words`, the number of
words, replaces `model.vocab`, so other readers cannot mistake the file for a tokenizer without
words.

Many published files contain truncation and padding with values that differ from the model's (128
instead of 256), so the reader of a bundle sets them itself.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semblance_model.field import Fields, shown
from semblance_model.refusal import Refusal

TOKENIZER_FILE = "tokenizer.json"
VOCABULARY_FILE = "vocabulary.txt"

# Field of tokenizer_config.json -> field of BertNormalizer that must have the same value.
# transformers rebuilds the normalizer from the former; a bundle contains only the latter.
_NORMALIZER_FIELDS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


@dataclass(frozen=True)
class BundleTokenizer:
    """The bytes of the bundle's `tokenizer.json` and `vocabulary.txt`."""

    rules: bytes
    vocabulary: bytes

    def write(self, folder: Path) -> None:
        """Writes both files into `folder`."""
        (folder / TOKENIZER_FILE).write_bytes(self.rules)
        (folder / VOCABULARY_FILE).write_bytes(self.vocabulary)


def bundle_tokenizer(
    tokenizer: Fields, tokenizer_config: Fields, lowercase: bool, vocabulary_size: int
) -> BundleTokenizer:
    """The tokenizer of the bundle.

    `lowercase` is `do_lower_case` of `sentence_bert_config.json`. `vocabulary_size` is the number
    of rows of the embedding table; every token id must be below it.
    """
    model = tokenizer.section("model")
    kind = model.values.get("type")
    if kind != "WordPiece":
        raise _refused(tokenizer, "model.type", kind, '"WordPiece"')
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
    side = tokenizer_config.text("padding_side", "right")
    if side != "right":
        raise _refused(tokenizer_config, "padding_side", side, '"right"')
    side = tokenizer_config.text("truncation_side", "right")
    if side != "right":
        raise _refused(tokenizer_config, "truncation_side", side, '"right"')
    words = _words(tokenizer)
    highest = max([len(words) - 1, *_added_ids(tokenizer)])
    if highest >= vocabulary_size:
        raise _refused(
            tokenizer, "model.vocab", highest, f"only ids below vocab_size {vocabulary_size}"
        )
    rules = dict(tokenizer.values) | {"truncation": None, "padding": None}
    rules["model"] = {name: model.values[name] for name in model.values if name != "vocab"}
    rules["model"]["words"] = len(words)
    try:
        return BundleTokenizer(
            json.dumps(rules, ensure_ascii=False, separators=(",", ":")).encode("utf-8"),
            "".join(f"{word}\n" for word in words).encode("utf-8"),
        )
    except UnicodeEncodeError as error:
        raise _refused(tokenizer, "model.vocab", error.object[error.start], "Unicode") from error


def _lowercases(normalizer: Any) -> bool:
    if not isinstance(normalizer, dict):
        return False
    if normalizer.get("type") == "Sequence":
        members = normalizer.get("normalizers")
        return isinstance(members, list) and any(_lowercases(member) for member in members)
    return normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase"))


def _words(tokenizer: Fields) -> list[str]:
    """The words in the order of their ids; the line of a word in a bundle is its id."""
    vocabulary = tokenizer.section("model").section("vocab").values
    words = {number: word for word, number in vocabulary.items() if isinstance(number, int)}
    for expected in range(len(vocabulary)):
        if expected not in words:
            wanted = f"each id from 0 to {len(vocabulary) - 1} once: {expected} is missing"
            raise _refused(tokenizer, "model.vocab", f"{len(vocabulary)} words", wanted)
    for word in vocabulary:
        if not word or "\n" in word:
            wanted = "words that are not empty and contain no line feed"
            raise _refused(tokenizer, "model.vocab", word, wanted)
    return [words[number] for number in range(len(vocabulary))]


def _added_ids(tokenizer: Fields) -> list[int]:
    tokens = tokenizer.values.get("added_tokens", [])
    if not isinstance(tokens, list):
        raise _refused(tokenizer, "added_tokens", tokens, "a list")
    values = [token.get("id") if isinstance(token, dict) else None for token in tokens]
    ids = [value for value in values if isinstance(value, int) and value >= 0]
    if len(ids) < len(values):
        raise _refused(tokenizer, "added_tokens", values, "tokens with ids of 0 or more")
    return ids


def _refused(fields: Fields, name: str, value: object, wanted: str) -> Refusal:
    return Refusal(
        "model.tokenizer",
        f"{fields.file}: field {name} is {shown(value)}, expected {wanted}",
    )
