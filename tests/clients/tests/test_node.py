"""Clients of Node.js: one process runs them all, see node/clients.mjs."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from doors import ANSWER_SECONDS, REPOSITORY, Door
from doors.golden import CANDIDATES, QUERY
from doors.scenarios import (
    HALF_EMOJI,
    LONG,
    WHOLE_CHARACTER,
    WITH_EMPTY,
    Embed,
    check_batch,
    check_defaults,
    check_half_emoji,
    check_long,
)
from doors.server import Server

FOLDER = REPOSITORY / "tests/clients/node"

DOCUMENTS = [*CANDIDATES, "The Thames flows through London", "Cats sleep most of the day"]

# The most texts that the client sends in one request, or that its user does.
EMBEDDERS = {
    "openai": 2048,
    "ai embedMany": 2048,
    "ai embed": 2,
    "@langchain/openai": 2048,
    "@langchain/community hf": 1000,
    "@langchain/cohere": 192,
    "@huggingface/inference": 1000,
    "cohere-ai v1": 96,
    "cohere-ai v2": 96,
    "ollama embed": 1000,
    "ollama embeddings": 2,
}

RERANKERS = ["cohere-ai v1", "cohere-ai v2", "@langchain/cohere"]

every_embedder = pytest.mark.parametrize("name", EMBEDDERS)
every_reranker = pytest.mark.parametrize("name", RERANKERS)


class Node:
    """The process with the clients."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "clients.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.clients = self._read()

    def call(self, **call: Any) -> dict[str, Any]:
        """The result of a call, or the error of the client."""
        assert self._process.stdin is not None
        # Half an emoji is an escape here, as it is in the requests of these clients.
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        return self._read()

    def embed(self, client: str, door: Door) -> Embed:
        """The client as a function."""

        def embed(texts: list[str]) -> Any:
            result = self.call(client=client, url=door.url, texts=texts)
            assert "vectors" in result, result
            return result["vectors"]

        return embed

    def rerank(self, client: str, door: Door, documents: list[str]) -> list[tuple[int, float]]:
        """Indices and scores, best first."""
        result = self.call(client=client, url=door.url, query=QUERY, texts=documents)
        assert "ranking" in result, result
        return [(index, score) for index, score in result["ranking"]]

    def stop(self) -> int:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        parsed = json.loads(self._process.stdout.readline())
        assert isinstance(parsed, dict)
        return parsed


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    running = Node()
    yield running
    assert running.stop() == 0


def test_every_client_is_tested(node: Node) -> None:
    assert node.clients["embedders"] == list(EMBEDDERS)
    assert node.clients["rerankers"] == [*RERANKERS, "@huggingface/inference"]


@every_embedder
def test_the_golden_texts_have_the_golden_embeddings(node: Node, door: Door, name: str) -> None:
    check_defaults(node.embed(name, door))


@every_embedder
def test_a_long_text_is_truncated(node: Node, door: Door, name: str) -> None:
    check_long(door, node.embed(name, door))


@every_embedder
def test_half_an_emoji_loses_nothing_else(node: Node, door: Door, name: str) -> None:
    check_half_emoji(door, node.embed(name, door))


@every_embedder
def test_the_largest_batch_of_a_client_is_answered(node: Node, server: Server, name: str) -> None:
    check_batch(server.door, node.embed(name, server.door), EMBEDDERS[name])


@every_embedder
def test_an_empty_text_is_an_error_that_names_it(node: Node, door: Door, name: str) -> None:
    result = node.call(client=name, url=door.url, texts=WITH_EMPTY)
    assert "error" in result, result
    assert 400 <= result["error"]["status"] < 500, result
    assert "is empty" in result["error"]["message"], result


@every_reranker
def test_documents_are_ranked_by_the_cross_encoder(node: Node, door: Door, name: str) -> None:
    for documents in (DOCUMENTS, [*DOCUMENTS, LONG], [*DOCUMENTS, HALF_EMOJI]):
        texts = [text.replace(HALF_EMOJI, WHOLE_CHARACTER) for text in documents]
        body = {"query": QUERY, "texts": texts, "truncate": True}
        answer = httpx.post(f"{door.url}/rerank", json=body, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        ranked = [(item["index"], item["score"]) for item in answer.json()]
        found = node.rerank(name, door, documents)
        assert [index for index, _ in found] == [index for index, _ in ranked]
        scores = [score for _, score in ranked]
        assert [score for _, score in found] == pytest.approx(scores, abs=1e-6)


def test_sentence_similarity_is_that_of_the_embedding_model(node: Node, door: Door) -> None:
    found = node.rerank("@huggingface/inference", door, DOCUMENTS)
    body = {"inputs": {"source_sentence": QUERY, "sentences": DOCUMENTS}}
    scores = httpx.post(f"{door.url}/similarity", json=body).raise_for_status().json()
    assert [score for _, score in found] == pytest.approx(scores, abs=1e-6)
