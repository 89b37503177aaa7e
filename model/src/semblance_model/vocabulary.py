"""Reads the vocabulary of a `tokenizer.json`, and writes it in the format of a bundle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semblance_model.field import Fields, shown
from semblance_model.pieces import MAX_COUNT, pieces_file
from semblance_model.refusal import Refusal

LINES_FILE = "vocabulary.txt"
PIECES_FILE = "vocabulary.bin"


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary of a bundle.

    `file` is its name, `ids` has the id of each word, and `rules` is the section `model` of the
    bundle's `tokenizer.json`.
    """

    file: str
    content: bytes
    ids: dict[str, int]
    rules: dict[str, Any]


def read_vocabulary(tokenizer: Fields) -> Vocabulary:
    """The vocabulary of a tokenizer.

    Raises `Refusal` for a model or a vocabulary that a bundle cannot express.
    """
    model = tokenizer.section("model")
    readers = {"WordPiece": _word_piece, "Unigram": _unigram, "BPE": _bpe}
    kind = model.values.get("type")
    if not isinstance(kind, str) or kind not in readers:
        names = ", ".join(f'"{name}"' for name in readers)
        raise _refused(tokenizer, "type", kind, f"one of {names}")
    return readers[kind](tokenizer, model)


def _word_piece(tokenizer: Fields, model: Fields) -> Vocabulary:
    words = _words_by_id(tokenizer, model)
    for word in words:
        if not word or "\n" in word:
            wanted = "words that are not empty and contain no line feed"
            raise _refused(tokenizer, "vocab", word, wanted)
    lines = _encoded(tokenizer, [f"{word}\n" for word in words])
    return _vocabulary(LINES_FILE, b"".join(lines), words, model, {})


def _unigram(tokenizer: Fields, model: Fields) -> Vocabulary:
    entries = model.values.get("vocab")
    if not isinstance(entries, list) or not all(map(_is_scored, entries)):
        raise _refused(tokenizer, "vocab", entries, "a list of pieces with finite scores")
    words = [entry[0] for entry in entries]
    last = {word: number for number, word in enumerate(words)}
    for number, word in enumerate(words):
        if last[word] != number:
            raise _refused(tokenizer, "vocab", word, "each piece once")
    unknown = model.values.get("unk_id")
    if unknown is not None and (type(unknown) is not int or not 0 <= unknown < len(words)):
        raise _refused(tokenizer, "unk_id", unknown, "null or the id of a piece")
    model.flag("byte_fallback", False)
    content = pieces_file(_pieces(tokenizer, words), [float(entry[1]) for entry in entries], [])
    return _vocabulary(PIECES_FILE, content, words, model, {})


def _is_scored(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], int | float)
        and not isinstance(entry[1], bool)
        and math.isfinite(entry[1])
    )


def _bpe(tokenizer: Fields, model: Fields) -> Vocabulary:
    words = _words_by_id(tokenizer, model)
    ids = {word: number for number, word in enumerate(words)}
    if model.values.get("dropout"):
        wanted = "null: dropout makes tokens random"
        raise _refused(tokenizer, "dropout", model.values["dropout"], wanted)
    for name in ("fuse_unk", "byte_fallback", "ignore_merges"):
        model.flag(name, False)
    prefix, _ = (model.text(it, "") for it in ("continuing_subword_prefix", "end_of_word_suffix"))
    unknown = model.values.get("unk_token")
    if unknown is not None and unknown not in ids:
        raise _refused(tokenizer, "unk_token", unknown, "null or a token of the vocabulary")
    merges = [
        _merge(tokenizer, merge, ids, len(prefix.encode()))
        for merge in _listed(tokenizer, model.values.get("merges"))
    ]
    if len(merges) > MAX_COUNT:
        raise _refused(tokenizer, "merges", f"{len(merges)} merges", f"at most {MAX_COUNT}")
    content = pieces_file(_pieces(tokenizer, words), None, merges)
    return _vocabulary(PIECES_FILE, content, words, model, {"merges": len(merges)})


def _listed(tokenizer: Fields, merges: Any) -> list[Any]:
    if not isinstance(merges, list):
        raise _refused(tokenizer, "merges", merges, "a list")
    # The first line of a file of merges, which old versions of the library kept.
    return [it for it in merges if not (isinstance(it, str) and it.startswith("#version"))]


def _merge(
    tokenizer: Fields, merge: Any, ids: dict[str, int], prefix_bytes: int
) -> tuple[int, int, int]:
    """Ids of the left, the right and the merged piece of `"left right"` or `["left", "right"]`."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    is_pair = isinstance(parts, list) and len(parts) == 2
    if not is_pair or not all(isinstance(part, str) for part in parts):
        raise _refused(tokenizer, "merges", merge, "pairs of pieces")
    left, right = parts
    # The right piece has the prefix of a piece that continues a word; the merged piece does not.
    merged = left + right.encode("utf-8", "surrogatepass")[prefix_bytes:].decode("utf-8", "replace")
    for piece in (left, right, merged):
        if piece not in ids:
            raise _refused(tokenizer, "merges", merge, f"pieces of the vocabulary: {shown(piece)}")
    return ids[left], ids[right], ids[merged]


def _words_by_id(tokenizer: Fields, model: Fields) -> list[str]:
    """The words in the order of their ids, which must be 0 to n - 1."""
    vocabulary = model.section("vocab").values
    words = {number: word for word, number in vocabulary.items() if type(number) is int}
    for expected in range(len(vocabulary)):
        if expected not in words:
            wanted = f"each id from 0 to {len(vocabulary) - 1} once: {expected} is missing"
            raise _refused(tokenizer, "vocab", f"{len(vocabulary)} words", wanted)
    return [words[number] for number in range(len(vocabulary))]


def _pieces(tokenizer: Fields, words: Sequence[str]) -> list[bytes]:
    if len(words) > MAX_COUNT:
        raise _refused(tokenizer, "vocab", f"{len(words)} pieces", f"at most {MAX_COUNT}")
    if "" in words:
        raise _refused(tokenizer, "vocab", "", "pieces that are not empty")
    return _encoded(tokenizer, words)


def _encoded(tokenizer: Fields, words: Sequence[str]) -> list[bytes]:
    try:
        return [word.encode("utf-8") for word in words]
    except UnicodeEncodeError as error:
        raise _refused(tokenizer, "vocab", error.object[error.start], "Unicode") from error


def _vocabulary(
    file: str, content: bytes, words: Sequence[str], model: Fields, more: dict[str, Any]
) -> Vocabulary:
    left_out = ("vocab", "merges", "dropout")
    rules = {name: value for name, value in model.values.items() if name not in left_out}
    ids = {word: number for number, word in enumerate(words)}
    return Vocabulary(file, content, ids, rules | {"words": len(words)} | more)


def _refused(tokenizer: Fields, name: str, value: object, wanted: str) -> Refusal:
    return Refusal(
        "model.tokenizer",
        f"{tokenizer.file}: field model.{name} is {shown(value)}, expected {wanted}",
    )
