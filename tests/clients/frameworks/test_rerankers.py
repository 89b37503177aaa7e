"""Every client that reranks: its defaults, a long text, half an emoji and a large batch."""

import httpx
import pytest

from doors import ANSWER_SECONDS, Door
from doors.golden import CANDIDATES, QUERY
from doors.scenarios import HALF_EMOJI, LONG, WHOLE_CHARACTER
from doors.server import Server
from frameworks.rerankers import RERANKERS, Rerank

DOCUMENTS = [*CANDIDATES, "The Thames flows through London", "Cats sleep most of the day"]

# Those that send half an emoji as an escape in JSON. The others encode UTF-8, and fail before they
# send a request.
SEND_HALF_EMOJI = {
    "infinity_client",
    "litellm cohere/",
    "litellm hosted_vllm/ with /v1",
    "litellm hosted_vllm/",
    "litellm huggingface/",
    "litellm infinity/",
    "litellm jina_ai/",
    "litellm voyage/",
    "llama-index Jina",
    "voyageai",
}

# They do not show the body of an error.
LOSE_THE_MESSAGE = {
    "haystack TEI",
    "infinity_client",
    "llama-index Jina",
    "llama-index TEI",
}

# The most documents that each of them returns, as its user configured it.
TOP = 100

# They replace the path of their base URL. The function URL of the emulator has a path, that of AWS
# has none.
REPLACE_PATH = {"haystack TEI", "litellm jina_ai/"}

every_client = pytest.mark.parametrize("name", RERANKERS)
every_client_and_door = pytest.mark.parametrize(
    ("door", "name"),
    [
        pytest.param(door, name, id=f"{door}-{name}")
        for door in ("server", "emulator")
        for name in RERANKERS
        if door == "server" or name not in REPLACE_PATH
    ],
    indirect=["door"],
)


def expected(door: Door, documents: list[str]) -> list[tuple[int, float]]:
    """Indices and scores by the route of text-embeddings-inference, best first."""
    texts = [text.replace(HALF_EMOJI, WHOLE_CHARACTER) for text in documents]
    body = {"query": QUERY, "texts": texts, "truncate": True}
    answer = httpx.post(f"{door.url}/rerank", json=body, timeout=ANSWER_SECONDS).raise_for_status()
    return [(item["index"], item["score"]) for item in answer.json()]


def check(door: Door, rerank: Rerank, documents: list[str]) -> None:
    found = rerank(QUERY, documents)
    wanted = expected(door, documents)[: len(found)]
    assert len(found) in (len(documents), TOP)
    assert [index for index, _ in found] == [index for index, _ in wanted]
    scores = [score for _, score in wanted]
    assert [score for _, score in found] == pytest.approx(scores, abs=1e-6)


@every_client_and_door
def test_documents_are_ranked_by_the_cross_encoder(door: Door, name: str) -> None:
    check(door, RERANKERS[name](door.url), DOCUMENTS)


@every_client_and_door
def test_a_long_document_is_truncated(door: Door, name: str) -> None:
    check(door, RERANKERS[name](door.url), [*DOCUMENTS, LONG])


@every_client_and_door
def test_half_an_emoji_loses_nothing_else(door: Door, name: str) -> None:
    if name in SEND_HALF_EMOJI:
        check(door, RERANKERS[name](door.url), [*DOCUMENTS, HALF_EMOJI])
    else:
        with pytest.raises(Exception, match="surrogates not allowed"):
            RERANKERS[name](door.url)(QUERY, [*DOCUMENTS, HALF_EMOJI])


@every_client_and_door
def test_an_empty_document_is_refused_by_name(door: Door, name: str) -> None:
    message = "" if name in LOSE_THE_MESSAGE else "is empty"
    with pytest.raises(Exception, match=message):
        RERANKERS[name](door.url)(QUERY, [*DOCUMENTS, ""])


@every_client
def test_a_thousand_documents_are_ranked(server: Server, name: str) -> None:
    # Without ties, which clients may order in their own way.
    documents = [f"document number {number}" for number in range(1000)]
    ranked = RERANKERS[name](server.url)(QUERY, documents)
    wanted = dict(expected(server.door, documents))
    assert len(ranked) in (1000, TOP)
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([wanted[index] for index, _ in ranked], abs=1e-6)
    assert min(scores) >= sorted(wanted.values(), reverse=True)[len(ranked) - 1] - 1e-6
