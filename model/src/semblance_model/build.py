"""The steps of a build: source, description, weights, graph, check, bundle."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

from semblance_model.calibration import largest_activations, largest_export_activations
from semblance_model.compare import compare
from semblance_model.dense import write_dense
from semblance_model.description import Choices, Description, describe
from semblance_model.export import Export
from semblance_model.graph import write_graph
from semblance_model.inputs import inputs_of
from semblance_model.manifest import MANIFEST_FILE, Origin, manifest_bytes
from semblance_model.plain import open_plain
from semblance_model.publish import check_name, link, publish, staging
from semblance_model.reader import check_tokenizer
from semblance_model.refusal import Refusal
from semblance_model.report import int8_line, size_line, speed_line
from semblance_model.rewrite import write_export
from semblance_model.source import open_source
from semblance_model.weights import open_weights
from semblance_model.words import WORDS_TENSOR, Precision, read_words, write_words

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
    truncate_dim: int | None = None
    choices: Choices | None = None


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
        description = describe(source, order.choices)
        for note in description.notes:
            say(f"note: {note}")
        layers = description.layers
        if layers is not None and layers > _MAX_LAYERS:
            raise Refusal("model.too_large", f"{layers} layers, the limit is {_MAX_LAYERS}")
        say(summary(description))
        output_size = _output_size(description, order.truncate_dim)
        with staging(order.output / name) as folder:
            say("writing the graph and its weights")
            inputs = write_model(description, order.precision, folder, say)
            description.tokenizer.write(folder)
            check_tokenizer(
                folder,
                description.tokenizer.vocabulary.ids,
                description.vocabulary_size,
                description.max_tokens,
                pairs=description.task == "cross-encoder",
            )
            say(f"checking with ONNX Runtime {onnxruntime.__version__}")
            check_graph(description, order.precision, folder)
            origin = Origin(
                model_name=name,
                source=source.identity,
                revision=source.revision(weight_files(description)),
                precision=order.precision,
                output_size=output_size,
                inputs=inputs,
                onnxruntime_version=onnxruntime.__version__,
            )
            bundle, new = publish(folder, manifest_bytes(description, origin, folder))
    if order.link is not None:
        link(order.output, order.link, bundle)
    files = json.loads((bundle / MANIFEST_FILE).read_text(encoding="utf-8"))["files"]
    say(f"{'built' if new else 'unchanged'}: {size_line(bundle, files)}")
    speed = speed_line(bundle) if description.task == "embedding" else None
    if speed is not None:
        say(speed)
    return bundle


def _output_size(description: Description, truncate_dim: int | None) -> int | None:
    if truncate_dim is None:
        return None
    if description.pooling is None:
        raise Refusal("model.truncate_dim", "--truncate-dim: a cross-encoder has no embeddings")
    width = len(description.pooling) * description.hidden_size
    if description.dense:
        width = description.dense[-1].outputs
    if not 1 <= truncate_dim <= width:
        raise Refusal(
            "model.truncate_dim",
            f"--truncate-dim {truncate_dim}: expected 1 to {width}, the width of an embedding",
        )
    return truncate_dim if truncate_dim < width else None


def weight_files(description: Description) -> Sequence[Path]:
    """The files that identify the model."""
    graph = description.graph
    if isinstance(graph, Export):
        return [graph.path, *graph.external]
    return tuple(graph.checkpoint.paths.values())


def write_model(
    description: Description, precision: Precision, folder: Path, say: Callable[[str], None]
) -> Sequence[str]:
    """Writes the graph, the weights and the embedding table into `folder`; returns the inputs."""
    graph = description.graph
    write_dense(description.dense, folder)
    if isinstance(graph, Export):
        return _write_export(description, graph, precision, folder, say)
    with open_weights(graph) as weights:
        largest = None
        if precision != "fp32":
            largest = largest_activations(graph, weights, description.max_tokens)
        write_graph(graph, weights, folder, largest)
        table = weights.tensor(WORDS_TENSOR)
        write_words(table, precision, folder)
        if precision != "fp32":
            with TemporaryDirectory() as fp32:
                write_graph(graph, weights, Path(fp32))
                say(int8_line(folder, Path(fp32), table, description.max_tokens))
    return ()


def _write_export(
    description: Description,
    export: Export,
    precision: Precision,
    folder: Path,
    say: Callable[[str], None],
) -> Sequence[str]:
    """Writes the bundle of an export; the fp32 graph is compared with the export in any case."""
    write_words(export.table, precision, folder)
    if precision == "fp32":
        inputs, _ = _write_compared(description, export, folder)
        return inputs
    with TemporaryDirectory() as fp32:
        inputs, with_attention = _write_compared(description, export, Path(fp32))
        largest = largest_export_activations(export, description.max_tokens)
        write_export(export, folder, largest, with_attention=with_attention)
        say(int8_line(folder, Path(fp32), export.table, description.max_tokens))
    return inputs


def _write_compared(
    description: Description, export: Export, folder: Path
) -> tuple[Sequence[str], bool]:
    """Writes the fp32 graph; returns its inputs, and whether it has the engine's attention."""
    for with_attention in (True, False):
        inputs = write_export(export, folder, with_attention=with_attention)
        try:
            compare(
                export,
                open_plain(folder),
                export.table,
                description.max_tokens,
                pads_left=description.pads_left,
            )
        except Refusal:
            if not with_attention:
                raise
        else:
            return inputs, with_attention
    raise AssertionError("the loop returns or raises")


def check_graph(description: Description, precision: Precision, folder: Path) -> None:
    """Runs the plain form of the graph once, on two texts of different lengths."""
    tokens = min(8, description.max_tokens)
    words = read_words(folder, description.embedding_size, precision)
    texts = [np.zeros(it, np.int32) for it in (tokens, tokens // 2)]
    session = open_plain(folder)
    (output,) = session.run(None, inputs_of(session, words, [(ids, ids) for ids in texts]))
    if description.labels is None:
        expected: tuple[int, ...] = (tokens + tokens // 2, description.hidden_size)
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
    graph = description.graph
    size = f"{description.hidden_size} wide"
    if not isinstance(graph, Export):
        size = f"{graph.shape.layers} layers, {size}, {graph.shape.heads} heads"
    if description.task == "embedding":
        layers = "".join(f"dense {it.outputs} {it.activation}, " for it in description.dense)
        rest = f"{' + '.join(description.pooling or ())} pooling, {layers}" + (
            "normalized" if description.normalize else "not normalized"
        )
    else:
        rest = f"labels: {description.labels}, {description.activation}"
    return (
        f"{description.task}: {description.model_type}, {size}, {description.max_tokens} tokens, "
        f"{rest}"
    )
