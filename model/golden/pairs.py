"""The pairs of the cross-encoders' golden scores: what a reranker is given, and what is cut."""

from itertools import pairwise

from texts import (
    ADDRESSES,
    CANDIDATES,
    CODE,
    CONTROLS,
    DIGITS,
    EMOJI,
    ENGLISH,
    LANGUAGES,
    LONG_WORDS,
    MARKS,
    PUNCTUATION,
    QUERY,
    SHORT,
    of_length,
)

Pair = tuple[str, str]

_SEARCH = (
    (QUERY, CANDIDATES[0]),
    (QUERY, CANDIDATES[1]),
    (CANDIDATES[0], QUERY),
    ("What is the capital of France?", "Paris is the capital and largest city of France."),
    ("What is the capital of France?", "not good"),
    ("good", "not good"),
    ("reset password", "How do I reset my password?"),
    ("The weather is lovely today.", "It's so sunny outside!"),
)

_REPEATED = (
    ("good", "good"),
    ("good good good good", "good"),
    ("Buffalo " * 8, "Buffalo " * 40),
    ("a", "A"),
    (ENGLISH[0], ENGLISH[0]),
)

_SINGLE_CHARACTERS = (("a", "b"), ("?", "."), ("7", "Z"), ("中", "é"), ("ß", "\u200b"))

# Tokens of the first and of the second text, without [CLS] and [SEP]. Around 61 and 124, the room
# in two of 64 and 127: below, at and above it, the longer text first and second, neither longer,
# and the shorter one below, at and above half of the room.
LENGTHS_TOKENS = (
    (1, 1),
    (10, 80),
    (80, 10),
    (30, 30),
    (30, 31),
    (31, 30),
    (31, 31),
    (30, 32),
    (32, 30),
    (31, 32),
    (32, 31),
    (60, 1),
    (1, 60),
    (61, 1),
    (1, 61),
    (1, 200),
    (200, 1),
    (61, 63),
    (62, 62),
    (62, 63),
    (63, 62),
    (63, 63),
    (61, 64),
    (64, 61),
    (70, 100),
    (100, 70),
    (124, 124),
    (123, 1),
    (124, 1),
    (1, 124),
    (600, 600),
    (600, 3),
    (3, 600),
)


def of_lengths(first_tokens: int, second_tokens: int) -> Pair:
    """A pair of plain words, as many as there are to be tokens; the second begins elsewhere."""
    skipped = 7
    second = of_length(second_tokens + skipped + 2).split()[skipped:]
    return of_length(first_tokens + 2), " ".join(second)


def golden_pairs() -> list[Pair]:
    """Every pair, each once, in a fixed order; the seed's example first."""
    kinds = (SHORT, PUNCTUATION, DIGITS, ADDRESSES, CODE, LANGUAGES, EMOJI, MARKS, CONTROLS)
    pairs = [
        *_SEARCH,
        *_REPEATED,
        *_SINGLE_CHARACTERS,
        *(pair for kind in kinds for pair in list(pairwise(kind))[::3]),
        *pairwise(LONG_WORDS),
        *((QUERY, text) for text in LANGUAGES[::4]),
        *((text, QUERY) for text in PUNCTUATION[::4]),
        *(of_lengths(*tokens) for tokens in LENGTHS_TOKENS),
    ]
    return list(dict.fromkeys(pairs))
