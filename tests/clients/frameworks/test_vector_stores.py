"""Vector stores that embed through a remote model."""

import chromadb
import openai
import pytest
from chromadb.utils.embedding_functions import (
    HuggingFaceEmbeddingServer,
    OpenAIEmbeddingFunction,
)
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, PointStruct, VectorParams

from doors import Door

DOCUMENTS = [
    "Around 9 million people live in London",
    "Cats sleep most of the day",
    "The bridge was built in 1890",
]


@pytest.mark.parametrize("function", ["openai", "hugging face"])
def test_a_chroma_collection_finds_the_document(door: Door, function: str) -> None:
    functions = {
        "openai": lambda: OpenAIEmbeddingFunction("anything", api_base=f"{door.url}/v1"),
        "hugging face": lambda: HuggingFaceEmbeddingServer(f"{door.url}/embed"),
    }
    client = chromadb.EphemeralClient()
    collection = client.create_collection(
        f"documents-{door.name.replace(' ', '-')}-{function.replace(' ', '-')}",
        embedding_function=functions[function](),
    )
    collection.add(documents=DOCUMENTS, ids=["people", "cats", "bridge"])
    found = collection.query(query_texts=["How old is the bridge?", "population"], n_results=1)
    assert found["ids"] == [["bridge"], ["people"]]


def test_qdrant_finds_the_document_by_vectors_of_the_openai_client(door: Door) -> None:
    client = openai.OpenAI(api_key="anything", base_url=f"{door.url}/v1")

    def embed(texts: list[str]) -> list[list[float]]:
        answer = client.embeddings.create(model="any-model", input=texts)
        return [item.embedding for item in answer.data]

    store = QdrantClient(":memory:")
    store.create_collection("documents", VectorParams(size=384, distance=Distance.COSINE))
    points = [PointStruct(id=n, vector=vector) for n, vector in enumerate(embed(DOCUMENTS))]
    store.upsert("documents", points)
    found = store.query_points("documents", embed(["How old is the bridge?"])[0], limit=1)
    assert [point.id for point in found.points] == [2]
