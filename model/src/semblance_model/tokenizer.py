"""The tokenizer of a bundle: the source's `tokenizer.json` without truncation and padding.

Both are baked into many published files with values that are not the model's (128 where the model
takes 256), so the reader of a bundle sets them itself.
"""

import json
from typing import Any

from semblance_model.field import Fields, shown
from semblance_model.refusal import Refusal

# Field of tokenizer_config.json -> field of the BertNormalizer it must agree with. The reference
# rebuilds the normalizer from the former; a bundle carries only the latter.
_NORMALIZER_FIELDS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def bundle_tokenizer(
    tokenizer: Fields, tokenizer_config: Fields, lowercase: bool, vocabulary_size: int
) -> bytes:
    """The bytes of the bundle's `tokenizer.json`.

    `lowercase` is `do_lower_case` of `sentence_bert_config.json`; `vocabulary_size` is the number
    of rows of the embedding table, which every token must have.
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
            "one that lowercases, because do_lower_case is true in sentence_bert_config.json",
        )
    side = tokenizer_config.text("padding_side", "right")
    if side != "right":
        raise _refused(tokenizer_config, "padding_side", side, '"right"')
    side = tokenizer_config.text("truncation_side", "right")
    if side != "right":
        raise _refused(tokenizer_config, "truncation_side", side, '"right"')
    highest = _highest_id(tokenizer, model)
    if highest >= vocabulary_size:
        raise _refused(
            tokenizer, "model.vocab", highest, f"ids below vocab_size {vocabulary_size} only"
        )
    values = dict(tokenizer.values)
    values["truncation"] = None
    values["padding"] = None
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _lowercases(normalizer: Any) -> bool:
    if normalizer.get("type") == "Sequence":
        return any(_lowercases(member) for member in normalizer.get("normalizers", []))
    return normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase"))


def _highest_id(tokenizer: Fields, model: Fields) -> int:
    vocabulary = model.section("vocab").values
    added = tokenizer.values.get("added_tokens") or []
    values = [*vocabulary.values(), *(token.get("id") for token in added)]
    ids = [value for value in values if isinstance(value, int) and value >= 0]
    if not ids or len(ids) < len(values):
        raise _refused(tokenizer, "model.vocab", len(vocabulary), "tokens with ids of at least 0")
    return max(ids)


def _refused(fields: Fields, name: str, value: object, wanted: str) -> Refusal:
    return Refusal(
        "model.tokenizer",
        f"{fields.file}: field {name} is {shown(value)}, expected {wanted}",
    )
