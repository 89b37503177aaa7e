"""The steps of a build: source, description, weights, graph, check, bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from semblance_model.calibration import largest_activations
from semblance_model.description import Description, describe
from semblance_model.graph import write_graph
from semblance_model.int8_graph import write_int8_graph
from semblance_model.manifest import Origin, manifest_bytes
from semblance_model.onnx_graph import GRAPH_FILE
from semblance_model.publish import check_name, link, publish, staging
from semblance_model.refusal import Refusal
from semblance_model.source import open_source
from semblance_model.weights import Weights, open_weights
from semblance_model.words import Precision, read_words, write_words


@dataclass(frozen=True)
class Order:
    """What to build and where to write it.

    If `name` is None, the source gives the name. If `link` is None, no link is changed.
    """

    source: str
    revision: str | None
    output: Path
    link: str | None
    name: str | None
    precision: Precision = "fp32"


def build(order: Order, say: Callable[[str], None]) -> Path:
    """Builds a bundle and returns its folder; calls `say` with a message for each step.

    Raises `Refusal` if the model cannot be built; then no bundle is written.
    """
    try:
        return _build(order, say)
    except OSError as error:
        raise Refusal("io", f"{error.filename or order.output}: {error.strerror}") from error


def _build(order: Order, say: Callable[[str], None]) -> Path:
    if order.link is not None:
        check_name("--link", order.link)
    if order.name is not None:
        check_name("--name", order.name)
    say(f"reading {order.source}")
    with open_source(order.source, order.revision) as source:
        name = check_name("--name", order.name or source.suggested_name)
        if name == order.link:
            raise Refusal("output.name", f"--name {name}: the link has the same name")
        description = describe(source)
        for note in description.notes:
            say(f"note: {note}")
        say(summary(description))
        with open_weights(description.weights, description) as weights:
            origin = Origin(
                model_name=name,
                source=source.identity,
                revision=source.revision(description.weights),
                precision=order.precision,
                onnxruntime_version=onnxruntime.__version__,
            )
            with staging(order.output / name) as folder:
                say("writing the graph and its weights")
                write_model(description, weights, order.precision, folder)
                description.tokenizer.write(folder)
                say(f"checking with ONNX Runtime {onnxruntime.__version__}")
                check_graph(description, order.precision, folder)
                bundle, new = publish(folder, manifest_bytes(description, origin, folder))
    if order.link is not None:
        link(order.output, order.link, bundle)
    size = sum(file.stat().st_size for file in bundle.iterdir())
    say(f"{'built' if new else 'unchanged'}: {size / 1e6:.1f} MB")
    return bundle


def write_model(
    description: Description, weights: Weights, precision: Precision, folder: Path
) -> None:
    """Writes the graph, the weights and the embedding table into `folder`."""
    if precision == "fp32":
        write_graph(description, weights, folder)
    else:
        write_int8_graph(description, weights, largest_activations(description, weights), folder)
    write_words(weights, precision, folder)


def check_graph(description: Description, precision: Precision, folder: Path) -> None:
    """Loads the graph as the function does and runs it once on two rows, one of them padded."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    if precision == "fp32":
        options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(
        str(folder / GRAPH_FILE), options, providers=["CPUExecutionProvider"]
    )
    tokens = min(8, description.max_tokens)
    mask = np.ones((2, tokens), np.int32)
    mask[1, tokens // 2 :] = 0
    first_word = read_words(folder, description.shape.hidden_size, precision)[0]
    inputs = {
        "word_embeddings": np.broadcast_to(first_word, (2, tokens, *first_word.shape)),
        "attention_mask": mask,
        "token_type_ids": np.zeros((2, tokens), np.int32),
    }
    (output,) = session.run(None, inputs)
    if description.labels is None:
        expected: tuple[int, ...] = (2, tokens, description.shape.hidden_size)
    else:
        expected = (2, description.labels)
    if output.shape != expected or not np.isfinite(output).all():
        raise Refusal(
            "model.output",
            f"the graph returned shape {list(output.shape)}, expected {list(expected)} and only "
            "finite values",
        )


def summary(description: Description) -> str:
    """One line that says what is being built."""
    shape = description.shape
    if description.task == "embedding":
        rest = f"{description.pooling} pooling, " + (
            "normalized" if description.normalize else "not normalized"
        )
    else:
        rest = f"labels: {description.labels}, {description.activation}"
    return (
        f"{description.task}: {shape.layers} layers, {shape.hidden_size} wide, "
        f"{shape.heads} heads, {description.max_tokens} tokens, {rest}"
    )
