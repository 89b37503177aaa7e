"""sentence-transformers as a peer, as its documentation uses it.

`sentence_transformers_handler.py FOLDER torch|onnx THREADS` answers the events of a Runtime
API. With `onnx` the folder holds the exported graph as `onnx/model.onnx`.
"""

import json
import sys
from typing import Any

import runtime_client
import torch
from sentence_transformers import SentenceTransformer


def load(folder: str, backend: str, threads: int) -> Any:
    """The model on the CPU."""
    torch.set_num_threads(threads)
    if backend == "torch":
        return SentenceTransformer(folder, device="cpu")
    import onnxruntime  # noqa: PLC0415 - the torch back end does without it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    settings = {"provider": "CPUExecutionProvider", "session_options": options}
    return SentenceTransformer(folder, device="cpu", backend=backend, model_kwargs=settings)


def handler(event: dict[str, Any], model: Any) -> Any:
    """Embeddings, or candidates with their scores, best first."""
    if "inputs" in event:
        return model.encode(event["inputs"]).tolist()
    candidates = event["actual_queries"]
    rows = model.encode([event["query_from_app"], *candidates], convert_to_tensor=True)
    scores = model.similarity(rows[:1], rows[1:])[0].tolist()
    return {"Scores": sorted(zip(candidates, scores, strict=True), key=lambda pair: -pair[1])}


def main() -> None:
    """Loads the model and answers until the process is stopped."""
    folder, backend, threads = sys.argv[1:]
    model = load(folder, backend, int(threads))
    runtime_client.run(lambda event: json.dumps(handler(json.loads(event), model)))


if __name__ == "__main__":
    main()
