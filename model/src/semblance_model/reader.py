"""Reads the written tokenizer as the engine does, before a bundle is published.

The engine parses the rules with the same library and checks them against the vocabulary. A bundle
that it would refuse must not get a name, because a link or a deployment could point to it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from semblance_model.field import shown
from semblance_model.refusal import Refusal
from semblance_model.tokenizer import TOKENIZER_FILE
from semblance_model.vocabulary import LINES_FILE

# The limits of the engine, src/tokenizer/rules.rs.
_MAX_WORD_CHARACTERS = 1_000
_MAX_TOKEN_BYTES = 1_024
_MAX_GROWTH = 16


def check_tokenizer(
    folder: Path, ids: Mapping[str, int], vocabulary_size: int, max_tokens: int, *, pairs: bool
) -> None:
    """Raises `Refusal` if the engine would refuse the tokenizer in `folder`.

    `ids` are those of the vocabulary.
    """
    rules = json.loads((folder / TOKENIZER_FILE).read_bytes())
    added = _check_rules(rules)
    if (folder / LINES_FILE).exists():
        words = (folder / LINES_FILE).read_bytes().decode("utf-8").split("\n")[:-1]
        _check_word_piece(rules["model"], words)
        model = {name: value for name, value in rules["model"].items() if name != "words"}
        model["vocab"] = {word: number for number, word in enumerate(words)}
    else:
        # The builder itself has checked pieces and merges. What the library puts around a text
        # depends on the ids alone.
        model = {"type": "WordLevel", "vocab": dict(ids), "unk_token": next(iter(ids), "")}
    tokenizer = _load(rules, model)
    try:
        around = tokenizer.encode("", add_special_tokens=True)
        special = [tokenizer.num_special_tokens_to_add(pair) for pair in (False, True)]
    except Exception as error:
        raise _refused("post_processor", f"the tokenizers library fails: {error}") from error
    tokens = [("added_tokens", token["content"], token["id"]) for token in added]
    around_ids = zip(around.tokens, around.ids, strict=True)
    tokens += [("post_processor", token, number) for token, number in around_ids]
    for name, token, number in tokens:
        found = tokenizer.token_to_id(token)
        if found != number:
            raise _refused(name, f"{shown(token)} has the id {number}, in the vocabulary {found}")
    highest = max([len(ids) - 1, *(number for _, _, number in tokens)])
    if highest >= vocabulary_size:
        raise _refused("added_tokens", f"the id {highest} is not below {vocabulary_size}")
    needed = special[1] if pairs else special[0]
    if max_tokens <= needed:
        raise _refused("post_processor", f"{needed} special tokens, but max_tokens {max_tokens}")


def _check_word_piece(model: dict[str, Any], words: list[str]) -> None:
    """Checks the section `model` of a WordPiece tokenizer."""
    unknown = model.get("unk_token")
    if not isinstance(unknown, str) or unknown not in set(words):
        raise _refused("model.unk_token", f"{shown(unknown)}, expected a word of the vocabulary")
    prefix = model.get("continuing_subword_prefix")
    if not isinstance(prefix, str) or len(prefix.encode()) > _MAX_TOKEN_BYTES:
        raise _refused("model.continuing_subword_prefix", f"{shown(prefix)}, expected a short text")
    characters = model.get("max_input_chars_per_word")
    if not isinstance(characters, int) or characters not in range(_MAX_WORD_CHARACTERS + 1):
        raise _refused(
            "model.max_input_chars_per_word",
            f"{shown(characters)}, expected an integer up to {_MAX_WORD_CHARACTERS}",
        )


def _check_rules(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Checks what the engine reads itself; returns the added tokens."""
    if rules.get("version") != "1.0":
        raise _refused("version", f'{shown(rules.get("version"))}, expected "1.0"')
    added = rules.get("added_tokens")
    if not isinstance(added, list):
        raise _refused("added_tokens", f"{shown(added)}, expected a list")
    for token in added:
        content = token.get("content") if isinstance(token, dict) else None
        if (
            not isinstance(content, str)
            or len(content.encode()) > _MAX_TOKEN_BYTES
            or not _is_integer(token.get("id"))
        ):
            raise _refused("added_tokens", f"{shown(token)}, expected a short content and an id")
    growth = _growth(rules.get("normalizer"))
    if growth > _MAX_GROWTH:
        raise _refused("normalizer", f"lengthens a text by up to {growth}; {_MAX_GROWTH} at most")
    _check_templates(rules.get("post_processor"))
    return added


def _check_templates(processor: Any) -> None:
    """Checks the templates of a post-processor, on some of which the library panics."""
    if not isinstance(processor, dict):
        return
    inner = processor.get("processors")
    for member in inner if isinstance(inner, list) else []:
        _check_templates(member)
    if processor.get("type") != "TemplateProcessing":
        return
    known = processor.get("special_tokens")
    for name in ("single", "pair"):
        pieces = processor.get(name)
        for piece in pieces if isinstance(pieces, list) else []:
            token, text = (_id_of(piece, kind) for kind in ("SpecialToken", "Sequence"))
            if token is not None and not (isinstance(known, dict) and token in known):
                raise _refused(
                    "post_processor",
                    f"{name} has the special token {shown(token)}, which is not in special_tokens",
                )
            if name == "single" and text == "B":
                raise _refused("post_processor", "single has a second text")


def _id_of(piece: Any, kind: str) -> Any:
    """The `id` of a piece of a template, if it is of this kind."""
    fields = piece.get(kind) if isinstance(piece, dict) else None
    return fields.get("id") if isinstance(fields, dict) else None


def _load(rules: dict[str, Any], model: dict[str, Any]) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(rules | {"model": model}))
    except Exception as error:
        raise Refusal(
            "model.tokenizer", f"{TOKENIZER_FILE}: the tokenizers library rejects it: {error}"
        ) from error


def _growth(normalizer: Any) -> int:
    """An upper bound of the factor by which the replacements lengthen a text."""
    if not isinstance(normalizer, dict):
        return 1
    growth = 1
    if normalizer.get("type") == "Replace":
        added = len(str(normalizer.get("content", "")).encode())
        pattern = normalizer.get("pattern")
        plain = pattern.get("String") if isinstance(pattern, dict) else None
        # A regular expression can match the empty string, before each byte.
        growth = max(1, -(-added // len(plain.encode()))) if plain else added + 1
    elif normalizer.get("type") == "Prepend":
        growth = len(str(normalizer.get("prepend", "")).encode()) + 1
    inner = normalizer.get("normalizers")
    for member in inner if isinstance(inner, list) else []:
        growth *= _growth(member)
        if growth > _MAX_GROWTH:
            break
    return growth


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refused(name: str, reason: str) -> Refusal:
    return Refusal("model.tokenizer", f"{TOKENIZER_FILE}: field {name}: {reason}")
