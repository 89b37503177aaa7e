"""The events for every peer: English of mixed length, the same on every machine.

The texts consist of the plain English sentences of the golden texts. Each text starts with a unique
word and number, continues with sentences in its own order, and is limited to 5 to 50 words.
"""

import json
import re

from harness import place

LEAST_WORDS, MOST_WORDS = 5, 50
EVENTS = (10, 50, 500)
THROUGHPUT_TEXTS = 512
_SENTENCE = re.compile(r"[A-Za-z0-9 ,.'?!-]+")


def sentences() -> list[list[str]]:
    """The golden texts that are sentences of 4 to 40 ASCII words."""
    golden = json.loads(place.GOLDEN.read_text(encoding="utf-8"))
    texts = [entry["text"] for entry in golden["texts"]]
    split = [text.split(" ") for text in texts if _SENTENCE.fullmatch(text)]
    return [words for words in split if 4 <= len(words) <= 40 and max(map(len, words)) <= 20]


def mixed(count: int, seed: int) -> list[str]:
    """Different texts, their lengths spread evenly and out of order."""
    known = sentences()
    span = MOST_WORDS - LEAST_WORDS + 1
    texts = []
    for index in range(count):
        length = LEAST_WORDS + (index * 29 + seed * 7) % span
        step = 2 * (index % 8) + 1
        opening = known[(index * 5 + seed) % len(known)][0].strip(",.?!")
        words = [opening, f"{seed}-{index}:"]
        turn = 0
        while len(words) < length:
            words += known[(index + seed + turn * step) % len(known)]
            turn += 1
        texts.append(" ".join(words[:length]))
    if len(set(texts)) != count:
        raise ValueError(f"{count} texts, but only {len(set(texts))} different ones")
    return texts


def event(query: str, candidates: list[str]) -> dict[str, object]:
    """The event for the function."""
    return {"query_from_app": query, "actual_queries": candidates}


def of_event(event: dict[str, object]) -> list[str]:
    """The texts of an event."""
    listed = event["inputs"] if "inputs" in event else event["actual_queries"]
    assert isinstance(listed, list)
    query = [str(event["query_from_app"])] if "query_from_app" in event else []
    return [*query, *listed]


def embed(text: str) -> dict[str, object]:
    """The event that embeds one text."""
    return {"operation": "embed", "inputs": [text]}


def write() -> dict[str, dict[str, object]]:
    """Writes the events by name, and returns them."""
    seed = json.loads(place.SEED_EVENT.read_text(encoding="utf-8"))
    query = seed["query_from_app"]
    events = {"short": embed(query), "seed": seed}
    for count in EVENTS:
        events[f"{count} candidates"] = event(query, mixed(count, seed=count))
    first, *rest = mixed(THROUGHPUT_TEXTS, seed=1)
    events["512 texts"] = event(first, rest)
    place.BUILD.mkdir(parents=True, exist_ok=True)
    place.TEXTS.write_text(json.dumps(events, indent=1), encoding="utf-8")
    return events
