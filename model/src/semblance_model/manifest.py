"""`bundle.json`: the description of the bundle, and size and digest of each file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from semblance_model.description import Description
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
}


@dataclass(frozen=True)
class Origin:
    """The origin of a bundle's content."""

    model_name: str
    source: str
    revision: str
    precision: Precision
    onnxruntime_version: str


def manifest_bytes(description: Description, origin: Origin, folder: Path) -> bytes:
    """The bytes of `bundle.json` for the files in `folder`; equal input gives equal bytes."""
    files = FILES | {"vocabulary": description.tokenizer.vocabulary.file}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "model_name": origin.model_name,
        "source": origin.source,
        "revision": origin.revision,
        "licence": description.licence,
        "task": description.task,
        "hidden_size": description.shape.hidden_size,
        "vocabulary_size": description.shape.vocabulary_size,
        "max_tokens": description.max_tokens,
        "pooling": description.pooling,
        "normalize": description.normalize,
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
        },
    }
    return (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digest_of(manifest: bytes) -> str:
    """The name of the bundle's folder: the lowercase hex SHA-256 of `bundle.json`."""
    return hashlib.sha256(manifest).hexdigest()
