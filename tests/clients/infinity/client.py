"""Runs `infinity_client`: a call on standard input, its result on standard output, both JSON."""

import json
import sys
from typing import Any

from infinity_client import Client
from infinity_client.api.default import embeddings, rerank
from infinity_client.models import OpenAIEmbeddingInputText, RerankInput

# A name that no server knows.
MODEL = "any-model"


def result(call: dict[str, Any]) -> Any:
    """Embeds the texts of a call, or ranks them."""
    with Client(base_url=call["url"], timeout=600) as client:
        if "query" in call:
            ask = RerankInput(query=call["query"], documents=call["texts"], model=MODEL)
            ranked = rerank.sync(client=client, body=ask)
            return [[item.index, item.relevance_score] for item in ranked.results]
        ask = OpenAIEmbeddingInputText(input_=call["texts"], model=MODEL)
        answer = embeddings.sync(client=client, body=ask)
        return [item.embedding for item in answer.data]


def main() -> None:
    """Runs one call."""
    json.dump(result(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
