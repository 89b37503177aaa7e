"""Every client that embeds: defaults, a long text, half an emoji, an empty text, a large batch."""

import pytest

from doors import Door
from doors.scenarios import (
    WITH_EMPTY,
    check_batch,
    check_defaults,
    check_half_emoji,
    check_long,
    rows,
)
from doors.server import Server
from frameworks.embedders import EMBEDDERS

# Those that send half an emoji as an escape in JSON. The others encode UTF-8, and fail before they
# send a request.
SEND_HALF_EMOJI = {
    "infinity_client",
    "litellm hosted_vllm/",
    "litellm infinity/",
    "litellm jina_ai/",
    "litellm cohere/",
    "litellm voyage/",
    "voyageai",
}

# It asks for no truncation unless its user does.
REFUSES_LONG = {"tei-client"}

# They do not read the status of an answer, or do not show its body.
LOSE_THE_MESSAGE = {
    "chromadb HuggingFaceEmbeddingServer",
    "haystack TEI",
    "haystack TEI text",
    "infinity_client",
    "llama-index TEI",
    "tei-client",
}

# It logs the error, and returns no vector for any text of the batch.
LOG_THE_ERROR = {"haystack OpenAI"}

every_client = pytest.mark.parametrize("name", EMBEDDERS)


@every_client
def test_the_golden_texts_have_the_golden_embeddings(door: Door, name: str) -> None:
    make, _ = EMBEDDERS[name]
    check_defaults(make(door.url))


@every_client
def test_a_long_text_is_truncated(door: Door, name: str) -> None:
    make, _ = EMBEDDERS[name]
    if name in REFUSES_LONG:
        with pytest.raises(Exception, match=r"tokens|error"):
            check_long(door, make(door.url))
    else:
        check_long(door, make(door.url))


@every_client
def test_half_an_emoji_loses_nothing_else(door: Door, name: str) -> None:
    make, _ = EMBEDDERS[name]
    if name in SEND_HALF_EMOJI:
        check_half_emoji(door, make(door.url))
    else:
        with pytest.raises(Exception, match="surrogates not allowed"):
            check_half_emoji(door, make(door.url))


@every_client
def test_the_largest_batch_of_a_client_is_answered(server: Server, name: str) -> None:
    make, size = EMBEDDERS[name]
    check_batch(server.door, make(server.url), size)


@every_client
def test_an_empty_text_is_refused_by_name(door: Door, name: str) -> None:
    make, _ = EMBEDDERS[name]
    embed = make(door.url)
    if name in LOG_THE_ERROR:
        assert list(embed(WITH_EMPTY)) == [None] * len(WITH_EMPTY)
    else:
        message = "" if name in LOSE_THE_MESSAGE else "is empty"
        with pytest.raises(Exception, match=message):
            rows(embed(WITH_EMPTY))
