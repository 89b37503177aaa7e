"""`bundle.json`: the description of the bundle, and size and digest of each file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semblance_model.dense import DENSE_FILE
from semblance_model.description import Description
from semblance_model.export import Export
from semblance_model.onnx_graph import GRAPH_FILE, WEIGHTS_FILE
from semblance_model.source import sha256_of
from semblance_model.tokenizer import TOKENIZER_FILE
from semblance_model.words import WORDS_FILE, Precision

SCHEMA_VERSION = 3
MANIFEST_FILE = "bundle.json"

# Role in the manifest -> file name. The name of the vocabulary depends on its format.
FILES = {
    "graph": GRAPH_FILE,
    "weights": WEIGHTS_FILE,
    "words": WORDS_FILE,
    "tokenizer": TOKENIZER_FILE,
    "dense": DENSE_FILE,
}


@dataclass(frozen=True)
class Origin:
    """The origin of a bundle's content."""

    model_name: str
    source: str
    revision: str
    precision: Precision
    output_size: int | None
    inputs: Sequence[str]
    onnxruntime_version: str


def manifest_bytes(description: Description, origin: Origin, folder: Path) -> bytes:
    """The bytes of `bundle.json` for the files in `folder`; equal input gives equal bytes."""
    files = FILES | {"vocabulary": description.tokenizer.vocabulary.file}
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "model_name": origin.model_name,
        "source": origin.source,
        "revision": origin.revision,
        "licence": description.licence,
        "task": description.task,
        "hidden_size": description.hidden_size,
        "vocabulary_size": description.vocabulary_size,
        "max_tokens": description.max_tokens,
        "pooling": _one_or_more(description.pooling),
        "normalize": description.normalize,
        **_similarity(description),
        "prompts": description.prompts,
        "labels": description.labels,
        "activation": description.activation,
        "precision": origin.precision,
        "onnxruntime": origin.onnxruntime_version,
        "isa": "any",
        "files": {
            role: {
                "path": name,
                "size_bytes": (folder / name).stat().st_size,
                "sha256": sha256_of(folder / name),
            }
            for role, name in files.items()
            if (folder / name).exists()
        },
    }
    # A field that is absent has its usual value.
    if description.label_names is not None:
        manifest["label_names"] = list(description.label_names)
    if description.default_prompt is not None:
        manifest["default_prompt"] = description.default_prompt
    if isinstance(description.graph, Export):
        manifest["inputs"] = list(origin.inputs)
    elif description.graph.shape.pad_token_id is not None:
        manifest["pad_token_id"] = description.graph.shape.pad_token_id
    if description.dense:
        manifest["dense"] = [
            {"inputs": it.inputs, "outputs": it.outputs, "activation": it.activation}
            for it in description.dense
        ]
    if origin.output_size is not None:
        manifest["output_size"] = origin.output_size
    if description.embedding_size != description.hidden_size:
        manifest["embedding_size"] = description.embedding_size
    return (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _one_or_more(values: Sequence[str] | None) -> str | Sequence[str] | None:
    return values[0] if values is not None and len(values) == 1 else values


def _similarity(description: Description) -> dict[str, str]:
    """The field `similarity`, which only functions other than cosine similarity need."""
    function = description.similarity
    return {} if function is None or function == "cosine" else {"similarity": function}


def digest_of(manifest: bytes) -> str:
    """The name of the bundle's folder: the lowercase hex SHA-256 of `bundle.json`."""
    return hashlib.sha256(manifest).hexdigest()
