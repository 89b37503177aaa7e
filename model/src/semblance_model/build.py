"""The steps of a build: source, description, weights, graph, check, bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from semblance_model.calibration import largest_activations
from semblance_model.description import Description, describe
from semblance_model.graph import write_graph
from semblance_model.inputs import inputs_of
from semblance_model.manifest import Origin, manifest_bytes
from semblance_model.plain import open_plain
from semblance_model.publish import check_name, link, publish, staging
from semblance_model.reader import check_tokenizer
from semblance_model.refusal import Refusal
from semblance_model.source import open_source
from semblance_model.weights import Weights, open_weights
from semblance_model.words import Precision, read_words, write_words

# The largest encoders have fewer than a hundred.
_MAX_LAYERS = 1_000


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
    except MemoryError as error:
        raise Refusal("model.too_large", f"{order.source}: not enough memory") from error


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
        if description.shape.layers > _MAX_LAYERS:
            layers = description.shape.layers
            raise Refusal("model.too_large", f"{layers} layers, the limit is {_MAX_LAYERS}")
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
                check_tokenizer(
                    folder,
                    description.shape.vocabulary_size,
                    description.max_tokens,
                    pairs=description.task == "cross-encoder",
                )
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
    largest = None if precision == "fp32" else largest_activations(description, weights)
    write_graph(description, weights, folder, largest)
    write_words(weights, precision, folder)


def check_graph(description: Description, precision: Precision, folder: Path) -> None:
    """Runs the plain form of the graph once, on two texts of different lengths."""
    tokens = min(8, description.max_tokens)
    words = read_words(folder, description.shape.hidden_size, precision)
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
        rest = f"{description.pooling} pooling, " + (
            "normalized" if description.normalize else "not normalized"
        )
    else:
        rest = f"labels: {description.labels}, {description.activation}"
    return (
        f"{description.task}: {shape.layers} layers, {shape.hidden_size} wide, "
        f"{shape.heads} heads, {description.max_tokens} tokens, {rest}"
    )
