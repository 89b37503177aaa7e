"""BERT in plain numpy and double precision, written from its definition and from nothing here."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from checkpoint import Checkpoint

Doubles = NDArray[np.float64]
Integers = NDArray[np.int32]

_erf = np.vectorize(math.erf)


def gelu_tanh(x: Doubles) -> Doubles:
    """The approximation of Gelu by tanh."""
    inner: Doubles = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    approximated: Doubles = 0.5 * x * (1 + np.tanh(inner))
    return approximated


ACTIVATIONS: dict[str, Callable[[Doubles], Doubles]] = {
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": lambda x: np.maximum(x, 0),
}


def token_embeddings(
    model: Checkpoint, input_ids: Integers, attention_mask: Integers, token_type_ids: Integers
) -> Doubles:
    """Token embeddings `[batch, tokens, hidden]`."""
    weights: dict[str, Doubles] = {
        name.removeprefix("bert."): values.astype(np.float64)
        for name, values in model.tensors.items()
    }

    def dense(x: Doubles, name: str) -> Doubles:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Doubles, name: str) -> Doubles:
        centred = x - x.mean(-1, keepdims=True)
        scaled: Doubles = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + model.epsilon)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def split(x: Doubles) -> Doubles:
        batch, tokens, hidden = x.shape
        return x.reshape(batch, tokens, model.heads, hidden // model.heads).transpose(0, 2, 1, 3)

    x = norm(
        weights["embeddings.word_embeddings.weight"][input_ids]
        + weights["embeddings.position_embeddings.weight"][: input_ids.shape[1]]
        + weights["embeddings.token_type_embeddings.weight"][token_type_ids],
        "embeddings.LayerNorm",
    )
    for index in range(model.layers):
        layer = f"encoder.layer.{index}"
        query, key, value = (
            split(dense(x, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(model.hidden // model.heads)
        scores = np.where(attention_mask[:, None, None, :] == 1, scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (scores / scores.sum(-1, keepdims=True)) @ value
        attended = attended.transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(
            x + dense(attended, f"{layer}.attention.output.dense"),
            f"{layer}.attention.output.LayerNorm",
        )
        wide = ACTIVATIONS[model.hidden_act](dense(x, f"{layer}.intermediate.dense"))
        x = norm(x + dense(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


def logits(
    model: Checkpoint, input_ids: Integers, attention_mask: Integers, token_type_ids: Integers
) -> Doubles:
    """Logits `[batch, labels]` of a cross-encoder."""
    first = token_embeddings(model, input_ids, attention_mask, token_type_ids)[:, 0]
    pooler = "bert.pooler.dense"
    pooled = np.tanh(
        first @ model.tensors[f"{pooler}.weight"].astype(np.float64).T
        + model.tensors[f"{pooler}.bias"]
    )
    return (
        pooled @ model.tensors["classifier.weight"].astype(np.float64).T
        + model.tensors["classifier.bias"]
    )
