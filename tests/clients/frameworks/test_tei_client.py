"""`tei-client`: it asks `/info` for the kind of the model before each call."""

from collections.abc import Iterator

import httpx
import pytest
from tei_client import HttpClient

from doors.environment import built
from doors.golden import CANDIDATES, QUERY, WHOLE
from doors.scenarios import LONG
from doors.server import Server

DOCUMENTS = [*CANDIDATES, "The Thames flows through London", "Cats sleep most of the day"]

# Without an embedding model: an empty variable counts as absent.
ALONE = {"SEMBLANCE_BUNDLE": ""}


@pytest.fixture(scope="module")
def reranker() -> Iterator[Server]:
    """A server with a cross-encoder of one label alone."""
    with Server(settings=ALONE) as running:
        yield running


@pytest.fixture(scope="module")
def classifier() -> Iterator[Server]:
    """A server with a cross-encoder of three labels alone."""
    folder = str(built("build/model/cross-labels", "build/model/.cross-labels"))
    with Server("--cross-encoder", folder, cross_encoder=False, settings=ALONE) as running:
        yield running


def test_rerank_has_the_scores_of_the_cross_encoder(reranker: Server) -> None:
    client = HttpClient(reranker.url)
    assert client.health() and client.info().server_model_type == "reranker"
    pairs = [[QUERY, text] for text in DOCUMENTS]
    labels = httpx.post(f"{reranker.url}/predict", json={"inputs": pairs}).json()
    found = client.rerank(QUERY, DOCUMENTS, return_text=True).ranks
    assert sorted(item.index for item in found) == list(range(len(DOCUMENTS)))
    for item in found:
        assert item.score == pytest.approx(labels[item.index][0]["score"], abs=1e-6)
        assert item.text == DOCUMENTS[item.index]
    assert [item.score for item in found] == sorted((i.score for i in found), reverse=True)
    raw = client.rerank(QUERY, DOCUMENTS, raw_scores=True).ranks
    assert [item.index for item in raw] == [item.index for item in found]
    cut = client.rerank(QUERY, [*DOCUMENTS, LONG], truncate=True).ranks
    assert len(cut) == len(DOCUMENTS) + 1
    # It asks for no truncation unless its user does, and does not read the status.
    with pytest.raises(Exception, match="RerankScore"):
        client.rerank(QUERY, [*DOCUMENTS, LONG])
    with pytest.raises(AssertionError, match="model required"):
        client.embed("a text")


def test_classify_has_every_label(classifier: Server) -> None:
    client = HttpClient(classifier.url)
    assert client.info().server_model_type == "classifier"
    pairs = [(QUERY, text) for text in DOCUMENTS]
    for found in (client.classify(pairs), [client.classify(pair)[0] for pair in pairs]):
        assert len(found) == len(DOCUMENTS)
        for result in found:
            labels = {item.label for item in result.scores}
            assert labels == {"LABEL_0", "LABEL_1", "LABEL_2"}
            scores = [item.score for item in result.scores]
            assert scores == sorted(scores, reverse=True)
    with pytest.raises(AssertionError, match="model required"):
        client.rerank(QUERY, DOCUMENTS)


def test_tokenize_and_decode_are_answered(server: Server) -> None:
    client = HttpClient(server.url)
    assert client.info().server_model_type == "embedding"
    tokens = client.tokenize([WHOLE[0].text])[0]
    assert len(tokens.tokens) == WHOLE[0].tokens
    ids = tokens.get_ids()
    assert client.tokenize(client.decode([ids])[0])[0].get_ids() == ids
