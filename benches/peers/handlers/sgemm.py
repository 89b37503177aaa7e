"""The floor: fp32 operations per second of the machine's best matrix products.

`sgemm.py [--torch] THREADS`: for each line read, one line with GFLOP/s by product, `torch` and
`onnxruntime`, or only `torch`.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch

# m, k, n: the widest layer of the model over 512 tokens, and a square that fills the caches.
SHAPES = ((512, 384, 1536), (2048, 2048, 2048))
SECONDS_OF_EACH = 0.25


def products(threads: int, *, only_torch: bool) -> dict[str, tuple[int, Callable[[], object]]]:
    """Each product: its name, its operations, and what runs it."""
    torch.set_num_threads(threads)
    random = np.random.default_rng(0)
    found: dict[str, tuple[int, Callable[[], object]]] = {}
    for m, k, n in SHAPES:
        left = random.random((m, k), dtype=np.float32)
        right = random.random((k, n), dtype=np.float32)
        size = f"{m}x{k}x{n}"
        operations = 2 * m * k * n
        found[f"torch {size}"] = (operations, torch_product(left, right))
        if not only_torch:
            found[f"onnxruntime {size}"] = (operations, session_product(left, right, threads))
    return found


def torch_product(left: np.ndarray, right: np.ndarray) -> Callable[[], object]:
    """`torch.mm` into an existing matrix."""
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    out = torch.empty((left.shape[0], right.shape[1]))
    return lambda: torch.mm(a, b, out=out)


def session_product(left: np.ndarray, right: np.ndarray, threads: int) -> Callable[[], object]:
    """`MatMul` of ONNX Runtime with a constant right matrix, like the weights of a model."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["left", "right"], ["out"])],
        "product",
        [value("left", onnx.TensorProto.FLOAT, left.shape)],
        [value("out", onnx.TensorProto.FLOAT, (left.shape[0], right.shape[1]))],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"left": left})


def gflops(operations: int, product: Callable[[], object]) -> float:
    """Operations over time of the median run, in 1e9 per second."""
    product()
    times: list[float] = []
    end = time.perf_counter() + SECONDS_OF_EACH
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        product()
        times.append(time.perf_counter() - started)
    return operations / float(np.median(times)) / 1e9


def main() -> None:
    """Measures once for each line of the input."""
    found = products(int(sys.argv[-1]), only_torch="--torch" in sys.argv[1:-1])
    for _ in sys.stdin:
        print(json.dumps({name: gflops(*product) for name, product in found.items()}), flush=True)


if __name__ == "__main__":
    main()
