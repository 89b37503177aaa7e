"""The `cohere` SDK: rerank, its first and its second version."""

import cohere
import httpx
import numpy as np
import pytest
from cohere.errors import BadRequestError, NotFoundError

from doors import Door
from doors.golden import CANDIDATES, QUERY, SCORE_TOLERANCE, SCORES
from doors.server import Server

DOCUMENTS = [*CANDIDATES, "The Thames flows through London", "Cats sleep most of the day"]

Ranking = list[tuple[int, float]]


def first(door: Door) -> cohere.Client:
    return cohere.Client(api_key="anything", base_url=door.url, max_retries=0)


def second(door: Door) -> cohere.ClientV2:
    return cohere.ClientV2(api_key="anything", base_url=door.url, max_retries=0)


def predicted(door: Door) -> Ranking:
    """Indices and scores of the cross-encoder on each pair, best first, by another route."""
    body = {"inputs": [[QUERY, document] for document in DOCUMENTS]}
    answer = httpx.post(f"{door.url}/predict", json=body).raise_for_status().json()
    scores = [float(labels[0]["score"]) for labels in answer]
    return sorted(enumerate(scores), key=lambda item: -item[1])


def test_both_versions_rank_by_the_cross_encoder(door: Door) -> None:
    expected = predicted(door)
    assert len({score for _, score in expected}) == len(DOCUMENTS), "no ties"
    one = first(door).rerank(query=QUERY, documents=DOCUMENTS, model="any")
    two = second(door).rerank(model="any", query=QUERY, documents=DOCUMENTS)
    for results in (one.results, two.results):
        assert [item.index for item in results] == [index for index, _ in expected]
        scores = [item.relevance_score for item in results]
        assert scores == pytest.approx([score for _, score in expected], abs=1e-6)
    for meta in (one.meta, two.meta):
        assert meta is not None and meta.model_dump()["scored_by"] == "cross-encoder"
        assert meta.api_version is not None and meta.billed_units is not None
        assert meta.billed_units.search_units == 1
    assert all(item.document is None for item in one.results)


def test_top_n_and_documents_are_as_asked_for(door: Door) -> None:
    answer = first(door).rerank(
        query=QUERY,
        # Other fields of a document are ignored.
        documents=[{"text": DOCUMENTS[0], "title": "t"}, *DOCUMENTS[1:]],
        top_n=2,
        return_documents=True,
        rank_fields=["text"],
    )
    assert [item.index for item in answer.results] == [index for index, _ in predicted(door)[:2]]
    texts = [item.document.text for item in answer.results if item.document]
    assert texts == [DOCUMENTS[item.index] for item in answer.results]
    two = second(door).rerank(
        model="any", query=QUERY, documents=DOCUMENTS, top_n=1, max_tokens_per_doc=100
    )
    assert len(two.results) == 1


def test_a_document_is_scored_by_its_best_chunk(door: Door) -> None:
    long = " ".join([*["bread"] * 400, *DOCUMENTS])

    def scores(chunks: int, *documents: str) -> list[float]:
        answer = first(door).rerank(
            query=QUERY, documents=list(documents), max_chunks_per_doc=chunks
        )
        by_index = sorted(answer.results, key=lambda item: item.index)
        return [item.relevance_score for item in by_index]

    # The first chunk has only bread.
    first_chunk, bread = scores(1, long, "bread " * 400)
    assert first_chunk == pytest.approx(bread, abs=1e-5)
    assert scores(10, long)[0] != pytest.approx(first_chunk, abs=1e-3)


def test_inputs_with_texts_are_embedded(door: Door) -> None:
    client = second(door)
    texts = client.embed(
        model="any", input_type="search_document", texts=DOCUMENTS, embedding_types=["float"]
    )
    inputs = client.embed(
        model="any",
        input_type="search_document",
        inputs=[
            cohere.EmbedInput(content=[cohere.TextEmbedContent(text=text)]) for text in DOCUMENTS
        ],
        embedding_types=["float"],
    )
    found, expected = inputs.embeddings.float_, texts.embeddings.float_
    assert found is not None and expected is not None
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-6)
    with pytest.raises(BadRequestError) as caught:
        client.embed(model="any", input_type="image", images=["data:image/png;base64,AA=="])
    assert caught.value.body["error"]["code"] == "request.unsupported_option"


@pytest.mark.parametrize(
    ("query", "documents", "code"),
    [
        ("", ["a"], "request.empty_text"),
        ("a", ["b", " "], "request.empty_text"),
        ("a", ["b"] * 2_049, "request.too_many_texts"),
    ],
)
def test_a_bad_request_is_the_sdks_error_with_the_stable_code(
    door: Door, query: str, documents: list[str], code: str
) -> None:
    for client in (first(door), second(door)):
        with pytest.raises(BadRequestError) as caught:
            client.rerank(model="any", query=query, documents=documents)
        assert caught.value.body["error"]["code"] == code


def test_an_unknown_route_is_not_found(door: Door) -> None:
    with pytest.raises(NotFoundError) as caught:
        first(Door(door.name, f"{door.url}/nowhere")).rerank(query="a", documents=["b"])
    # This is not a route of Cohere's, so the body is not Cohere's either.
    assert caught.value.body["error_type"] == "http.not_found"


def test_without_a_cross_encoder_the_bi_encoder_scores_and_it_says_so() -> None:
    with Server(cross_encoder=False) as server:
        answer = second(server.door).rerank(model="any", query=QUERY, documents=CANDIDATES)
        assert [item.index for item in answer.results] == [0, 1]
        scores = [item.relevance_score for item in answer.results]
        assert scores == pytest.approx(SCORES, abs=SCORE_TOLERANCE)
        assert answer.meta is not None
        assert answer.meta.model_dump()["scored_by"] == "bi-encoder"
        refused = httpx.post(f"{server.url}/predict", json={"inputs": ["a", "b"]})
        assert refused.json()["error_type"] == "request.no_cross_encoder"
