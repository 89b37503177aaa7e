"""Texts that every client that embeds is tested with, and what it must return for them."""

from collections.abc import Callable, Sequence

import httpx
import numpy as np

from doors import ANSWER_SECONDS, Door
from doors.golden import ELEMENT_TOLERANCE, WHOLE, Vectors, largest_difference, stacked

# Texts to vectors, by a client with its defaults.
Embed = Callable[[list[str]], Sequence[Sequence[float]]]

# Ordinary sentences: some clients strip texts, replace line breaks or add prefixes to them.
PLAIN = [item for item in WHOLE if item.text == " ".join(item.text.split())]

# More than 64 KiB, and more tokens than the model reads.
LONG = "word " * 14_000

# What remains of an emoji that was split. JSON can escape it, UTF-8 cannot encode it.
HALF_EMOJI = "great \ud83d"

# What it counts as.
WHOLE_CHARACTER = "great \ufffd"

# A batch between two texts that can be embedded.
WITH_EMPTY = [WHOLE[0].text, "", WHOLE[1].text]


def rows(vectors: Sequence[Sequence[float]]) -> Vectors:
    """The vectors of a client, [texts, dim]."""
    return np.array([np.asarray(vector, dtype=np.float32) for vector in vectors])


def reference(door: Door, texts: list[str]) -> Vectors:
    """The embeddings of text-embeddings-inference's route, truncated on the right."""
    body = {"inputs": texts, "truncate": True}
    response = httpx.post(f"{door.url}/embed", json=body, timeout=ANSWER_SECONDS)
    return rows(response.raise_for_status().json())


def check_defaults(embed: Embed) -> None:
    """The golden texts have the golden embeddings, in input order."""
    assert len(PLAIN) >= 20
    found = rows(embed([item.text for item in PLAIN]))
    assert largest_difference(found, stacked(PLAIN)) <= ELEMENT_TOLERANCE


def check_long(door: Door, embed: Embed) -> None:
    """A long text is truncated as the model truncates it."""
    found = rows(embed([WHOLE[0].text, LONG]))
    expected = reference(door, [WHOLE[0].text, "word " * 1_000])
    assert largest_difference(found, expected) <= ELEMENT_TOLERANCE


def check_half_emoji(door: Door, embed: Embed) -> None:
    """Half an emoji counts as the replacement character, which the model's normalizer drops."""
    found = rows(embed([HALF_EMOJI, WHOLE[0].text]))
    expected = reference(door, [WHOLE_CHARACTER, WHOLE[0].text])
    assert largest_difference(found, expected) <= ELEMENT_TOLERANCE


def check_batch(door: Door, embed: Embed, size: int) -> None:
    """A batch of this size has one vector for each text, in input order."""
    distinct = [f"text number {number}" for number in range(40)]
    found = rows(embed([distinct[number % 40] for number in range(size)]))
    expected = reference(door, distinct)[np.arange(size) % 40]
    assert largest_difference(found, expected) <= ELEMENT_TOLERANCE
