"""Clients that rerank, each as its user sets it up, with its defaults."""

from collections.abc import Callable
from typing import Any

import cohere
import litellm
import voyageai
from haystack import Document
from haystack_integrations.components.rankers.cohere import CohereRanker
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
from langchain_cohere import CohereRerank
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

from frameworks.embedders import KEY, MODEL, TOKEN, run_infinity

# A query and documents to indices and scores, best first.
Rerank = Callable[[str, list[str]], list[tuple[int, float]]]


def _cohere(client: Any) -> Rerank:
    def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
        answer = client.rerank(query=query, documents=documents, model=MODEL)
        return [(item.index, item.relevance_score) for item in answer.results]

    return rerank


def _cohere_v1(url: str) -> Rerank:
    return _cohere(cohere.Client(api_key=KEY, base_url=url))


def _cohere_v2(url: str) -> Rerank:
    return _cohere(cohere.ClientV2(api_key=KEY, base_url=url))


def _langchain_cohere(url: str) -> Rerank:
    client = CohereRerank(model=MODEL, base_url=url, cohere_api_key=KEY, top_n=100)

    def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
        ranked = client.rerank(documents, query)
        return [(item["index"], item["relevance_score"]) for item in ranked]

    return rerank


def _llama(processor: Any) -> Rerank:
    def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
        nodes = [
            NodeWithScore(node=TextNode(text=text, id_=str(number)), score=0.0)
            for number, text in enumerate(documents)
        ]
        ranked = processor.postprocess_nodes(nodes, query_str=query)
        return [(int(item.node.node_id), item.score) for item in ranked]

    return rerank


def _llama_tei(url: str) -> Rerank:
    # A base URL with a slash at its end, as users write it.
    return _llama(TextEmbeddingInference(base_url=f"{url}/", top_n=100))


def _llama_jina(url: str) -> Rerank:
    return _llama(JinaRerank(base_url=f"{url}/v1", api_key=KEY, top_n=100))


def _haystack(ranker: Any) -> Rerank:
    def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
        items = [Document(content=text, meta={"number": n}) for n, text in enumerate(documents)]
        ranked = ranker.run(query=query, documents=items)["documents"]
        return [(item.meta["number"], item.score) for item in ranked]

    return rerank


def _haystack_tei(url: str) -> Rerank:
    return _haystack(HuggingFaceTEIRanker(url=url, top_k=100))


def _haystack_cohere(url: str) -> Rerank:
    return _haystack(CohereRanker(MODEL, 100, TOKEN, url))


def _voyage(url: str) -> Rerank:
    client = voyageai.Client(api_key=KEY, base_url=f"{url}/v1")

    def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
        answer = client.rerank(query, documents, model=MODEL)
        return [(item.index, item.relevance_score) for item in answer.results]

    return rerank


def _infinity(url: str) -> Rerank:
    def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
        ranked = run_infinity({"url": url, "query": query, "texts": documents})
        return [(index, score) for index, score in ranked]

    return rerank


def _litellm(provider: str, path: str = "", **options: Any) -> Callable[[str], Rerank]:
    def of(url: str) -> Rerank:
        def rerank(query: str, documents: list[str]) -> list[tuple[int, float]]:
            answer = litellm.rerank(
                f"{provider}/{MODEL}",
                query=query,
                documents=documents,
                api_base=f"{url}{path}",
                api_key=KEY,
                **options,
            )
            return [(item["index"], item["relevance_score"]) for item in answer.results]

        return rerank

    return of


RERANKERS: dict[str, Callable[[str], Rerank]] = {
    "cohere v1": _cohere_v1,
    "cohere v2": _cohere_v2,
    "langchain-cohere": _langchain_cohere,
    "llama-index TEI": _llama_tei,
    "llama-index Jina": _llama_jina,
    "haystack TEI": _haystack_tei,
    "haystack Cohere": _haystack_cohere,
    "voyageai": _voyage,
    "infinity_client": _infinity,
    "litellm cohere/": _litellm("cohere"),
    "litellm jina_ai/": _litellm("jina_ai"),
    "litellm hosted_vllm/ with /v1": _litellm("hosted_vllm", "/v1"),
    "litellm hosted_vllm/": _litellm("hosted_vllm"),
    # It sends the request of `hosted_vllm/`, byte for byte, and reads documents in another form.
    "litellm infinity/": _litellm("infinity", return_documents=False),
    "litellm huggingface/": _litellm("huggingface"),
    "litellm voyage/": _litellm("voyage", "/v1"),
}
