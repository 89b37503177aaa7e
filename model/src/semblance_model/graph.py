"""The ONNX graph of a BERT model, from word embeddings to token embeddings or logits.

The caller looks up the rows of the embedding table (`words.py`) and passes them to the graph. Dense
layers compute `weight @ activations`, so a product has features in rows and texts in columns; see
`_product`. Load the graph with graph optimization and prepacking off. The graph does not depend on
the processor.

Axes: `batch` texts, `tokens` positions (padded on the right), `hidden` features, `columns` the
positions of all texts: batch times tokens.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from semblance_model.description import Description, Shape
from semblance_model.onnx_graph import GRAPH_FILE, WEIGHTS_FILE, OnnxGraph
from semblance_model.weights import Array, Weights

# The processor's prefetcher follows streams within pages of 4,096 bytes. The kernel of a product
# reads several rows of a weight at once; at this distance or more, rows are on separate pages.
# ADR 0004 has the measurement.
ROW_DISTANCE_BYTES = 6_144
_PAGE_BYTES = 4_096

# The value that transformers adds to the score of a masked position.
MASKED = float(np.finfo(np.float32).min)


def write_graph(description: Description, weights: Weights, folder: Path) -> None:
    """Writes the graph and its weights into `folder`."""
    hidden_size = description.shape.hidden_size
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = OnnxGraph(file)
        hidden = _Encoder(graph, description.shape, weights).write()
        if description.task == "embedding":
            output = graph.name_output(hidden, "token_embeddings")
            axes: tuple[int | str, ...] = ("batch", "tokens", hidden_size)
        else:
            output = graph.name_output(classifier(graph, hidden, weights), "logits")
            axes = ("batch", description.labels or 0)
    texts = ("batch", "tokens")
    inputs = [
        helper.make_tensor_value_info("word_embeddings", TensorProto.FLOAT, (*texts, hidden_size)),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT32, texts),
        helper.make_tensor_value_info("token_type_ids", TensorProto.INT32, texts),
    ]
    model = graph.model(inputs, helper.make_tensor_value_info(output, TensorProto.FLOAT, axes))
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))


def blocks_of(rows: int, row_values: int) -> int:
    """The number of blocks of rows in which a weight is stored, row r of every block side by side.

    The smallest number that places consecutive rows of a block at least `ROW_DISTANCE_BYTES` apart,
    but not a multiple of the page size, which would map them to the same few sets of the L1
    cache; 1 if there is no such number.
    """
    row_bytes = row_values * np.dtype(np.float32).itemsize
    for blocks in range(1, rows + 1):
        distance = blocks * row_bytes
        if distance >= 2 * ROW_DISTANCE_BYTES:
            break
        if rows % blocks == 0 and distance >= ROW_DISTANCE_BYTES and distance % _PAGE_BYTES:
            return blocks
    return 1


class _Encoder:
    """The transformer: embeddings, then layers."""

    def __init__(self, graph: OnnxGraph, shape: Shape, weights: Weights) -> None:
        self._graph = graph
        self._shape = shape
        self._weights = weights
        # [batch], [tokens]: the dimensions of the shapes below.
        graph.node("Shape", ["attention_mask"], "shape")
        tokens = graph.node(
            "Slice",
            ["shape", graph.constant("one", [1]), graph.constant("two", [2])],
            "shape.tokens",
        )
        self._tokens = tokens
        self._any = graph.constant("any", [-1])
        head_size = graph.constant("head_size", [shape.hidden_size // shape.heads])
        heads = graph.constant("heads", [shape.heads])
        self._per_head = self._dimensions("per_head", head_size, self._any, tokens)
        self._by_head = self._dimensions("by_head", heads, self._any, head_size, tokens)
        self._in_columns = graph.constant("in_columns", [1, shape.hidden_size, -1])
        self._wide_columns = graph.constant("wide_columns", [1, shape.intermediate_size, -1])

    def write(self) -> str:
        """Writes the transformer and returns the token embeddings, `[batch, tokens, hidden]`."""
        graph, shape = self._graph, self._shape
        flat = graph.constant("flat", [1, -1, shape.hidden_size])
        hidden = graph.node("Reshape", [self._embeddings(), flat], "flat")
        mask = self._mask()
        for index in range(shape.layers):
            hidden = self._layer(index, hidden, mask)
        hidden_size = graph.constant("hidden_size", [shape.hidden_size])
        texts = self._dimensions("texts", "shape", hidden_size)
        return graph.node("Reshape", [hidden, texts], "hidden")

    def _dimensions(self, name: str, *parts: str) -> str:
        return self._graph.node("Concat", parts, f"dimensions.{name}", axis=0)

    def _embeddings(self) -> str:
        """`[batch, tokens, hidden]`: words, positions and types, summed and normalized."""
        graph, weights = self._graph, self._weights
        types = graph.node(
            "Gather",
            [
                self._weight(
                    "token_types", weights.tensor("embeddings.token_type_embeddings.weight")
                ),
                "token_type_ids",
            ],
            "embeddings.token_types",
        )
        positions = graph.node(
            "Slice",
            [
                self._weight("positions", weights.tensor("embeddings.position_embeddings.weight")),
                graph.constant("zero", [0]),
                self._tokens,
            ],
            "embeddings.positions",
        )
        rows = graph.node("Add", ["word_embeddings", types], "embeddings.with_types")
        rows = graph.node("Add", [rows, positions], "embeddings.sum")
        return self._normalized("embeddings.norm", rows, "embeddings.LayerNorm")

    def _mask(self) -> str:
        """`[heads * batch, 1, tokens]`: 0 for a token, the least float32 for padding."""
        graph = self._graph
        kept = graph.node("Cast", ["attention_mask"], "mask.kept", to=TensorProto.FLOAT)
        dropped = graph.node("Sub", [graph.constant("unit", 1.0), kept], "mask.dropped")
        added = graph.node("Mul", [dropped, graph.constant("masked", MASKED)], "mask.added")
        heads = graph.constant("mask.heads", [self._shape.heads, 1])
        repeated = graph.node("Tile", [added, heads], "mask.repeated")
        axis = graph.constant("mask.axis", [1])
        return graph.node("Unsqueeze", [repeated, axis], "mask")

    def _layer(self, index: int, hidden: str, mask: str) -> str:
        """One layer; input and output are `[1, columns, hidden]`."""
        graph = self._graph
        stored, name = f"encoder.layer.{index}", f"layer.{index}"
        attended = self._attention(f"{name}.attention", hidden, mask, f"{stored}.attention")
        attended = self._normalized(
            f"{name}.attention.norm",
            graph.node("Add", [attended, hidden], f"{name}.attention.sum"),
            f"{stored}.attention.output.LayerNorm",
        )
        wide = self._product(
            f"{name}.intermediate",
            self._stored(f"{stored}.intermediate.dense.weight"),
            attended,
            transposed=True,
        )
        wide = graph.node("Reshape", [wide, self._wide_columns], f"{name}.intermediate.columns")
        wide = self._activated(
            f"{name}.intermediate", wide, self._stored(f"{stored}.intermediate.dense.bias")
        )
        product = self._product(
            f"{name}.output", self._stored(f"{stored}.output.dense.weight"), wide
        )
        product = self._rows(f"{name}.output", product, self._stored(f"{stored}.output.dense.bias"))
        return self._normalized(
            f"{name}.norm",
            graph.node("Add", [product, attended], f"{name}.sum"),
            f"{stored}.output.LayerNorm",
        )

    def _attention(self, name: str, hidden: str, mask: str, stored: str) -> str:
        """Multi-head self-attention with its output layer, `[1, columns, hidden]`.

        The key's bias adds the same constant to every score of a query, which softmax ignores, so
        it is omitted. The attention weights sum to 1, so the values' bias moves into the bias of
        the output.
        """
        graph, shape = self._graph, self._shape
        head_size = shape.hidden_size // shape.heads
        # Order the rows of a projection by feature of a head, then by head: [head_size, heads *
        # batch, tokens] then has one matrix per head and text, without a transpose.
        order = np.arange(shape.hidden_size).reshape(shape.heads, head_size).T.flatten()
        projected: dict[str, str] = {}
        for projection in ("query", "key", "value"):
            rows = self._stored(f"{stored}.self.{projection}.weight")[order]
            product = self._product(f"{name}.{projection}", rows, hidden, transposed=True)
            if projection == "query":
                bias = self._stored(f"{stored}.self.query.bias")[order]
                product = graph.node(
                    "Reshape", [product, self._in_columns], f"{name}.query.columns"
                )
                product = graph.node(
                    "Add",
                    [product, self._weight(f"{name}.query.bias", bias[:, np.newaxis])],
                    f"{name}.query.sum",
                )
            projected[projection] = graph.node(
                "Reshape", [product, self._per_head], f"{name}.{projection}.heads"
            )
        scores = graph.node(
            "FusedMatMul",
            [projected["query"], projected["key"]],
            f"{name}.scores",
            transA=1,
            transBatchA=1,
            transBatchB=1,
            alpha=1.0 / float(np.sqrt(head_size)),
        )
        scores = graph.node("Add", [scores, mask], f"{name}.masked")
        scores = graph.node("Softmax", [scores], f"{name}.softmax", axis=-1)
        context = graph.node(
            "FusedMatMul",
            [projected["value"], scores],
            f"{name}.context",
            transBatchA=1,
            transB=1,
        )
        context = graph.node("Reshape", [context, self._by_head], f"{name}.context.heads")
        context = graph.node("Transpose", [context], f"{name}.context.texts", perm=[0, 2, 1, 3])
        context = graph.node("Reshape", [context, self._in_columns], f"{name}.context.columns")
        output = self._stored(f"{stored}.output.dense.weight")
        bias = self._stored(f"{stored}.output.dense.bias").astype(np.float64)
        bias += output.astype(np.float64) @ self._stored(f"{stored}.self.value.bias")
        product = self._product(f"{name}.output", output, context)
        return self._rows(f"{name}.output", product, bias.astype(np.float32))

    def _product(self, name: str, rows: Array, hidden: str, transposed: bool = False) -> str:
        """`rows @ hidden`, `[blocks, rows / blocks, columns]`, to be reshaped to all rows.

        The weight is the left operand, which ONNX Runtime's kernels read in place. A right operand
        is copied into the order of the kernels: once if prepacking is on, else at every product.
        """
        blocks = blocks_of(*rows.shape)
        stored = rows.reshape(blocks, -1, rows.shape[1]).transpose(1, 0, 2)
        return self._graph.node(
            "FusedMatMul",
            [self._weight(name, stored), hidden],
            f"{name}.product",
            transBatchA=1,
            transB=int(transposed),
        )

    def _rows(self, name: str, product: str, bias: Array) -> str:
        """`[1, columns, hidden]` of a product, with its bias."""
        graph = self._graph
        columns = graph.node("Reshape", [product, self._in_columns], f"{name}.columns")
        rows = graph.node("Transpose", [columns], f"{name}.rows", perm=[0, 2, 1])
        return graph.node("Add", [rows, self._weight(f"{name}.bias", bias)], f"{name}.biased")

    def _activated(self, name: str, columns: str, bias: Array) -> str:
        graph = self._graph
        biased = graph.node(
            "Add",
            [columns, self._weight(f"{name}.bias", bias[:, np.newaxis])],
            f"{name}.biased",
        )
        operator = {"gelu": "Gelu", "gelu_tanh": "FastGelu", "relu": "Relu"}
        return graph.node(operator[self._shape.hidden_activation], [biased], f"{name}.activation")

    def _normalized(self, name: str, rows: str, stored: str) -> str:
        scale = self._weight(f"{name}.scale", self._stored(f"{stored}.weight"))
        shift = self._weight(f"{name}.shift", self._stored(f"{stored}.bias"))
        return self._graph.node(
            "LayerNormalization",
            [rows, scale, shift],
            name,
            axis=-1,
            epsilon=self._shape.layer_norm_epsilon,
        )

    def _stored(self, name: str) -> Array:
        return self._weights.tensor(name)

    def _weight(self, name: str, values: Array) -> str:
        return self._graph.weight(name, values)


def classifier(graph: OnnxGraph, hidden: str, weights: Weights) -> str:
    """Logits `[batch, labels]` of the first position."""
    pooled = graph.node(
        "Gather", [hidden, graph.constant("classifier.position", 0)], "pooler.position", axis=1
    )
    pooled = graph.node(
        "FusedGemm",
        [pooled, *_dense(graph, "pooler.dense", weights)],
        "pooler",
        transB=1,
        activation="Tanh",
    )
    return graph.node(
        "Gemm", [pooled, *_dense(graph, "classifier", weights)], "classifier", transB=1
    )


def _dense(graph: OnnxGraph, name: str, weights: Weights) -> tuple[str, str]:
    return (
        graph.weight(f"{name}.weight", weights.tensor(f"{name}.weight")),
        graph.weight(f"{name}.bias", weights.tensor(f"{name}.bias")),
    )
