"""The steps of a build: source, description, weights, graph, check, bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from semblance_model.calibration import largest_activations
from semblance_model.dense import write_dense
from semblance_model.description import Description, describe
from semblance_model.graph import write_graph
from semblance_model.inputs import inputs_of
from semblance_model.manifest import Origin, manifest_bytes
from semblance_model.plain import open_plain
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
    truncate_dim: int | None = None


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
        with open_weights(description) as weights:
            origin = Origin(
                model_name=name,
                source=source.identity,
                revision=source.revision(tuple(description.checkpoint.paths.values())),
                precision=order.precision,
                output_size=_output_size(description, order.truncate_dim),
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


def _output_size(description: Description, truncate_dim: int | None) -> int | None:
    if truncate_dim is None:
        return None
    if description.pooling is None:
        raise Refusal("model.truncate_dim", "--truncate-dim: a cross-encoder has no embeddings")
    width = len(description.pooling) * description.shape.hidden_size
    if description.dense:
        width = description.dense[-1].outputs
    if not 1 <= truncate_dim <= width:
        raise Refusal(
            "model.truncate_dim",
            f"--truncate-dim {truncate_dim}: expected 1 to {width}, the width of an embedding",
        )
    return truncate_dim if truncate_dim < width else None


def write_model(
    description: Description, weights: Weights, precision: Precision, folder: Path
) -> None:
    """Writes the graph, the weights and the embedding table into `folder`."""
    largest = None if precision == "fp32" else largest_activations(description, weights)
    write_graph(description, weights, folder, largest)
    write_words(weights, precision, folder)
    write_dense(description.dense, folder)


def check_graph(description: Description, precision: Precision, folder: Path) -> None:
    """Runs the plain form of the graph once, on two texts of different lengths."""
    tokens = min(8, description.max_tokens)
    words = read_words(folder, description.shape.embedding_size, precision)
    texts = [np.zeros(it, np.int32) for it in (tokens, tokens // 2)]
    inputs = inputs_of(words, [(ids, ids) for ids in texts])
    (output,) = open_plain(folder).run(None, inputs)
    if description.labels is None:
        expected: tuple[int, ...] = (tokens + tokens // 2, description.shape.hidden_size)
    else:
        expected = (len(texts), description.labels)
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
        layers = "".join(f"dense {it.outputs} {it.activation}, " for it in description.dense)
        rest = f"{' + '.join(description.pooling or ())} pooling, {layers}" + (
            "normalized" if description.normalize else "not normalized"
        )
    else:
        rest = f"labels: {description.labels}, {description.activation}"
    return (
        f"{description.task}: {description.model_type}, {shape.layers} layers, "
        f"{shape.hidden_size} wide, {shape.heads} heads, {description.max_tokens} tokens, {rest}"
    )
