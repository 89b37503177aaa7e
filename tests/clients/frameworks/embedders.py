"""Clients that embed, each as its user sets it up, with its defaults."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import cohere
import litellm
import numpy as np
import ollama
import openai
import tei_client
import voyageai
from chromadb.utils.embedding_functions import (
    HuggingFaceEmbeddingServer,
    OllamaEmbeddingFunction,
    OpenAIEmbeddingFunction,
)
from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.utils import Secret
from haystack_integrations.components.embedders.cohere import CohereDocumentEmbedder
from haystack_integrations.components.embedders.huggingface_api import (
    HuggingFaceAPIDocumentEmbedder,
    HuggingFaceAPITextEmbedder,
)
from huggingface_hub import InferenceClient
from langchain_cohere import CohereEmbeddings
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

from doors import REPOSITORY
from doors.scenarios import Embed

# A name that no server knows: clients send the name that their user has configured.
MODEL = "any-model"
KEY = "anything"
TOKEN = Secret.from_token(KEY)

INFINITY = REPOSITORY / "tests/clients/infinity"


def run_infinity(call: dict[str, Any]) -> Any:
    """Runs a call of `infinity_client` in its own environment."""
    command = [INFINITY / ".venv/bin/python", INFINITY / "client.py"]
    ran = subprocess.run(
        command, input=json.dumps(call), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def _openai(url: str) -> Embed:
    client = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)

    def embed(texts: list[str]) -> Any:
        answer = client.embeddings.create(model=MODEL, input=texts)
        return [item.embedding for item in answer.data]

    return embed


def _langchain_openai(url: str) -> Embed:
    # Without the switch it loads the vocabulary of a model of OpenAI, and sends token ids.
    return OpenAIEmbeddings(
        model=MODEL, base_url=f"{url}/v1", api_key=KEY, check_embedding_ctx_length=False
    ).embed_documents


def _langchain_cohere(url: str) -> Embed:
    return CohereEmbeddings(model=MODEL, base_url=url, cohere_api_key=KEY).embed_documents


def _llama_openai(url: str) -> Embed:
    model = OpenAILikeEmbedding(
        model_name=MODEL, api_base=f"{url}/v1", api_key=KEY, embed_batch_size=2048
    )
    return model.get_text_embedding_batch


def _llama_tei(url: str) -> Embed:
    # A base URL with a slash at its end, as users write it.
    model = TextEmbeddingsInference(model_name=MODEL, base_url=f"{url}/", embed_batch_size=1000)
    return model.get_text_embedding_batch


def _haystack(embedder: Any) -> Embed:
    def embed(texts: list[str]) -> Any:
        documents = [Document(content=text) for text in texts]
        return [document.embedding for document in embedder.run(documents=documents)["documents"]]

    return embed


def _haystack_text(embedder: Any) -> Embed:
    return lambda texts: [embedder.run(text=text)["embedding"] for text in texts]


def _haystack_openai(url: str) -> Embed:
    base = f"{url}/v1"
    return _haystack(OpenAIDocumentEmbedder(TOKEN, MODEL, api_base_url=base, progress_bar=False))


def _haystack_openai_text(url: str) -> Embed:
    return _haystack_text(OpenAITextEmbedder(TOKEN, MODEL, api_base_url=f"{url}/v1"))


def _unit(embed: Embed) -> Embed:
    """Normalizes the vectors of a client that asks for vectors that are not normalized."""

    def unit(texts: list[str]) -> Any:
        vectors = np.array(embed(texts), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return unit


def _haystack_tei(url: str) -> Embed:
    return _unit(
        _haystack(
            HuggingFaceAPIDocumentEmbedder(
                "text_embeddings_inference", {"url": url}, token=TOKEN, progress_bar=False
            )
        )
    )


def _haystack_tei_text(url: str) -> Embed:
    return _unit(
        _haystack_text(
            HuggingFaceAPITextEmbedder("text_embeddings_inference", {"url": url}, token=TOKEN)
        )
    )


def _haystack_cohere(url: str) -> Embed:
    return _haystack(CohereDocumentEmbedder(TOKEN, MODEL, api_base_url=url, progress_bar=False))


def _cohere_v1(url: str) -> Embed:
    client = cohere.Client(api_key=KEY, base_url=url)
    return lambda texts: (
        client.embed(texts=texts, model=MODEL, input_type="search_document").embeddings
    )


def _cohere_v2(url: str) -> Embed:
    client = cohere.ClientV2(api_key=KEY, base_url=url)

    def embed(texts: list[str]) -> Any:
        answer = client.embed(
            texts=texts, model=MODEL, input_type="search_document", embedding_types=["float"]
        )
        return answer.embeddings.float_

    return embed


def _voyage(url: str) -> Embed:
    client = voyageai.Client(api_key=KEY, base_url=f"{url}/v1")
    return lambda texts: client.embed(texts, model=MODEL).embeddings


def _tei(url: str) -> Embed:
    return lambda texts: tei_client.HttpClient(url).embed(texts)


def _hugging_face(url: str) -> Embed:
    return lambda texts: InferenceClient(url).feature_extraction(texts)


def _ollama(url: str) -> Embed:
    return lambda texts: ollama.Client(url).embed(model=MODEL, input=texts).embeddings


def _ollama_one(url: str) -> Embed:
    client = ollama.Client(url)
    return lambda texts: [client.embeddings(model=MODEL, prompt=text).embedding for text in texts]


def _chroma_hugging_face(url: str) -> Embed:
    return HuggingFaceEmbeddingServer(url=f"{url}/embed")


def _chroma_openai(url: str) -> Embed:
    return OpenAIEmbeddingFunction(api_key=KEY, model_name=MODEL, api_base=f"{url}/v1")


def _chroma_ollama(url: str) -> Embed:
    return OllamaEmbeddingFunction(url=url, model_name=MODEL)


def _litellm(provider: str, path: str = "") -> Callable[[str], Embed]:
    def of(url: str) -> Embed:
        def embed(texts: list[str]) -> Any:
            answer = litellm.embedding(
                f"{provider}/{MODEL}", input=texts, api_base=f"{url}{path}", api_key=KEY
            )
            return [item["embedding"] for item in answer.data]

        return embed

    return of


def _infinity(url: str) -> Embed:
    return lambda texts: run_infinity({"url": url, "texts": texts})


# The most texts that the client sends in one request, or in one call of its user.
EMBEDDERS: dict[str, tuple[Callable[[str], Embed], int]] = {
    "openai": (_openai, 2048),
    "langchain-openai": (_langchain_openai, 2048),
    "langchain-cohere": (_langchain_cohere, 96),
    "llama-index OpenAILike": (_llama_openai, 2048),
    "llama-index TEI": (_llama_tei, 1000),
    "haystack OpenAI": (_haystack_openai, 100),
    "haystack OpenAI text": (_haystack_openai_text, 2),
    "haystack TEI": (_haystack_tei, 100),
    "haystack TEI text": (_haystack_tei_text, 2),
    "haystack Cohere": (_haystack_cohere, 100),
    "cohere v1": (_cohere_v1, 200),
    "cohere v2": (_cohere_v2, 96),
    "voyageai": (_voyage, 1000),
    "tei-client": (_tei, 1000),
    "huggingface_hub": (_hugging_face, 1000),
    "ollama embed": (_ollama, 1000),
    "ollama embeddings": (_ollama_one, 2),
    "chromadb HuggingFaceEmbeddingServer": (_chroma_hugging_face, 1000),
    "chromadb OpenAIEmbeddingFunction": (_chroma_openai, 2048),
    "chromadb OllamaEmbeddingFunction": (_chroma_ollama, 1000),
    "litellm openai/": (_litellm("openai", "/v1"), 2048),
    "litellm hosted_vllm/": (_litellm("hosted_vllm", "/v1"), 2048),
    "litellm infinity/": (_litellm("infinity"), 2048),
    "litellm jina_ai/": (_litellm("jina_ai", "/v1/embeddings"), 2048),
    "litellm cohere/": (_litellm("cohere", "/v2/embed"), 96),
    "litellm voyage/": (_litellm("voyage", "/v1/embeddings"), 1000),
    "litellm ollama/": (_litellm("ollama"), 1000),
    "infinity_client": (_infinity, 2048),
}
