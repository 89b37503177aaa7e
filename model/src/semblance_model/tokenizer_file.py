"""Reads `tokenizer.json`, or makes it from the `vocab.txt` of a BERT tokenizer.

The result equals what transformers' BertTokenizerFast makes from the same files.
"""

from typing import Any

from semblance_model.field import Fields, read_fields, shown
from semblance_model.keys import check_tokenizer
from semblance_model.refusal import Refusal
from semblance_model.source import Source

_TOKENIZER = "tokenizer.json"
_VOCABULARY = "vocab.txt"

# Tokenizer classes that differ from BertTokenizer in nothing but their name.
_BERT_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")

# Field of tokenizer_config.json -> the token it has by default.
_SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

_HOW_TO_MAKE = (
    f"write {_TOKENIZER} with transformers: "
    "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
)


def read_tokenizer(source: Source, folder: str, config: Fields) -> Fields:
    """The content of `tokenizer.json` in `folder`; `config` is `tokenizer_config.json`.

    Raises `Refusal` if the file is missing and cannot be made; the message says how to make it.
    """
    name = f"{folder}/{_TOKENIZER}" if folder else _TOKENIZER
    path = source.path(name)
    if path is not None:
        tokenizer = read_fields(name, path)
        check_tokenizer(tokenizer)
        return tokenizer
    vocabulary_name = f"{folder}/{_VOCABULARY}" if folder else _VOCABULARY
    vocabulary = source.path(vocabulary_name)
    if vocabulary is None:
        raise Refusal("source.file_missing", f"{name} is missing; {_HOW_TO_MAKE}")
    kind = config.text("tokenizer_class", "BertTokenizer").removesuffix("Fast")
    if kind not in _BERT_CLASSES:
        raise Refusal(
            "source.file_missing",
            f"{name} is missing and {config.file} has the tokenizer_class {shown(kind)}; "
            f"{_HOW_TO_MAKE}",
        )
    if not config.flag("do_basic_tokenize", True) or source.has(
        f"{folder}/added_tokens.json" if folder else "added_tokens.json"
    ):
        raise Refusal(
            "source.file_missing",
            f"{name} is missing and {vocabulary_name} does not describe the whole tokenizer; "
            f"{_HOW_TO_MAKE}",
        )
    try:
        text = vocabulary.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("model.tokenizer", f"{vocabulary_name}: not UTF-8") from error
    return Fields(vocabulary_name, _word_piece(vocabulary_name, text, config))


def _word_piece(file: str, text: str, config: Fields) -> dict[str, Any]:
    """The content of `tokenizer.json` for a vocabulary with one word per line."""
    lines = text.split("\n")
    # A line feed ends a line, so nothing follows the last one.
    words = lines[:-1] if lines[-1] == "" else lines
    ids = {word: number for number, word in enumerate(words)}
    tokens = {name: _special(config, name, token) for name, token in _SPECIAL_TOKENS.items()}
    for name, token in tokens.items():
        if token not in ids:
            raise Refusal(
                "model.tokenizer",
                f"{file}: does not contain the {name} {shown(token)}; {_HOW_TO_MAKE}",
            )
    cls, sep = tokens["cls_token"], tokens["sep_token"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(file, config, tokens, ids),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": config.flag("tokenize_chinese_chars", True),
            "strip_accents": config.flag("strip_accents") if config.has("strip_accents") else None,
            "lowercase": config.flag("do_lower_case", True),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special_piece(cls, 0), _sequence("A", 0), _special_piece(sep, 0)],
            "pair": [
                _special_piece(cls, 0),
                _sequence("A", 0),
                _special_piece(sep, 0),
                _sequence("B", 1),
                _special_piece(sep, 1),
            ],
            "special_tokens": {
                token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in (cls, sep)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": tokens["unk_token"],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def _special_piece(token: str, kind: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": kind}}


def _sequence(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}


def _special(config: Fields, name: str, default: str) -> str:
    """A special token, which is a string or an object with its content."""
    value = config.values.get(name)
    if isinstance(value, dict):
        return config.section(name).text("content")
    return config.text(name, default)


def _added_tokens(
    file: str, config: Fields, tokens: dict[str, str], ids: dict[str, int]
) -> list[dict[str, Any]]:
    """The special tokens and those of `added_tokens_decoder`, in the order of their ids."""
    added = {
        ids[token]: {
            "id": ids[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in tokens.values()
    }
    decoder = config.section("added_tokens_decoder")
    for number in decoder.values:
        if not number.isdigit():
            raise decoder.invalid(number, decoder.values[number], "a token with a number")
        token = decoder.section(number)
        added[int(number)] = {
            "id": int(number),
            "content": token.text("content"),
            "single_word": token.flag("single_word", False),
            "lstrip": token.flag("lstrip", False),
            "rstrip": token.flag("rstrip", False),
            "normalized": token.flag("normalized", False),
            "special": token.flag("special", False),
        }
    known = {token["content"] for token in added.values()}
    for token in config.values.get("additional_special_tokens") or []:
        content = token.get("content") if isinstance(token, dict) else token
        if content not in known:
            raise Refusal(
                "model.tokenizer",
                f"{file}: {config.file} has the additional special token {shown(content)}; "
                f"{_HOW_TO_MAKE}",
            )
    return [added[number] for number in sorted(added)]
