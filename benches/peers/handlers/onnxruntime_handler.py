"""A Lambda handler in Python as a peer: onnxruntime, tokenizers and numpy.

`onnxruntime_handler.py FOLDER MODEL.onnx THREADS` answers the events of a Runtime API. Batches of
32 in input order, padded to their longest text; mean pooling over the mask.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import runtime_client
from tokenizers import Tokenizer

BATCH_TEXTS = 32
MAX_TOKENS = 256


class Encoder:
    """Texts to unit vectors."""

    def __init__(self, folder: Path, graph: Path, threads: int):
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {field.name for field in self._session.get_inputs()}

    def encode(self, texts: list[str]) -> Any:
        """Unit rows, `[texts, dim]`, float32."""
        batches = [
            self._encode_batch(texts[first : first + BATCH_TEXTS])
            for first in range(0, len(texts), BATCH_TEXTS)
        ]
        return np.concatenate(batches)

    def _encode_batch(self, texts: list[str]) -> Any:
        encodings = self._tokenizer.encode_batch(texts)
        ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: array for name, array in feed.items() if name in self._inputs}
        tokens = self._session.run(None, feed)[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (tokens * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def handler(event: dict[str, Any], encoder: Encoder) -> Any:
    """Embeddings, or candidates with their scores, best first."""
    if "inputs" in event:
        return encoder.encode(event["inputs"]).tolist()
    candidates = event["actual_queries"]
    rows = encoder.encode([event["query_from_app"], *candidates])
    scores = (rows[1:] @ rows[0]).tolist()
    return {"Scores": sorted(zip(candidates, scores, strict=True), key=lambda pair: -pair[1])}


def main() -> None:
    """Loads the model and answers until the process is stopped."""
    folder, graph, threads = sys.argv[1:]
    encoder = Encoder(Path(folder), Path(graph), int(threads))
    runtime_client.run(lambda event: json.dumps(handler(json.loads(event), encoder)))


if __name__ == "__main__":
    main()
