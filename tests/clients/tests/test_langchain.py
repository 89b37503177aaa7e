"""`langchain-openai`: the embeddings of a vector store."""

import asyncio

import numpy as np
import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from doors import Door
from doors.golden import ELEMENT_TOLERANCE, WHOLE, largest_difference, shortened, stacked


def embeddings(door: Door, dimensions: int | None = None, chunk: int = 1000) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(
        model="all-minilm-l6-v2",
        base_url=f"{door.url}/v1",
        api_key=SecretStr("anything"),
        # Else it sends ids of OpenAI's own tokens.
        check_embedding_ctx_length=False,
        dimensions=dimensions,
        chunk_size=chunk,
        max_retries=0,
    )


def test_documents_and_query_have_the_golden_embeddings(door: Door) -> None:
    texts = [item.text for item in WHOLE]
    # Several requests, joined again by the client.
    documents = np.array(embeddings(door, chunk=50).embed_documents(texts), dtype=np.float32)
    assert largest_difference(documents, stacked(WHOLE)) <= ELEMENT_TOLERANCE
    query = np.array([embeddings(door).embed_query(WHOLE[0].text)], dtype=np.float32)
    assert largest_difference(query, stacked(WHOLE[:1])) <= ELEMENT_TOLERANCE


def test_dimensions_shorten_the_embeddings(door: Door) -> None:
    vector = np.array([embeddings(door, 48).embed_query(WHOLE[1].text)], dtype=np.float32)
    assert largest_difference(vector, shortened(stacked(WHOLE[1:2]), 48)) <= ELEMENT_TOLERANCE


def test_the_asynchronous_client_gives_the_same(door: Door) -> None:
    texts = [item.text for item in WHOLE[:10]]
    waited = asyncio.run(embeddings(door).aembed_documents(texts))
    assert waited == embeddings(door).embed_documents(texts)


def test_a_bad_text_is_the_openai_sdks_error(door: Door) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        embeddings(door).embed_documents(["a", ""])
    assert (caught.value.code, caught.value.param) == ("request.empty_text", "input[1]")
