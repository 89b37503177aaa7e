"""The number formats of embeddings, by the clients of the APIs that define them."""

import base64

import cohere
import numpy as np
import pytest
import voyageai
from numpy.typing import NDArray

from doors import Door
from doors.golden import WHOLE
from doors.scenarios import reference
from frameworks.embedders import KEY, MODEL

TEXTS = [item.text for item in WHOLE[:8]]

FORMATS = ["int8", "uint8", "binary", "ubinary"]


def quantized(rows: NDArray[np.float32], precision: str) -> NDArray[np.generic]:
    """As `quantize_embeddings` of sentence-transformers 6.2, with the ranges -1 and 1."""
    if precision.endswith("binary"):
        bits = np.packbits(rows > 0, axis=-1)
        return bits if precision == "ubinary" else (bits - 128).astype(np.int8)
    starts, ends = np.full(rows.shape[1], -1.0), np.full(rows.shape[1], 1.0)
    steps = (ends - starts) / 255
    levels = np.clip(np.floor((rows - starts) / steps), 0, 255)
    return levels.astype(np.uint8) if precision == "uint8" else (levels - 128).astype(np.int8)


def assert_quantized(door: Door, found: object, precision: str) -> None:
    expected = quantized(reference(door, TEXTS), precision)
    assert np.array_equal(np.array(found), expected), precision


@pytest.mark.parametrize("precision", FORMATS)
def test_voyageai_has_the_formats_of_sentence_transformers(door: Door, precision: str) -> None:
    # The client asks for base64, and decodes it in the number format.
    client = voyageai.Client(api_key=KEY, base_url=f"{door.url}/v1")
    found = client.embed(TEXTS, model=MODEL, output_dtype=precision)
    assert_quantized(door, found.embeddings, precision)


def test_cohere_has_every_format_in_one_response(door: Door) -> None:
    one = cohere.Client(api_key=KEY, base_url=door.url)
    two = cohere.ClientV2(api_key=KEY, base_url=door.url)
    types = ["float", "base64", *FORMATS]
    for answer in (
        one.embed(texts=TEXTS, model=MODEL, input_type="search_query", embedding_types=types),
        two.embed(texts=TEXTS, model=MODEL, input_type="search_query", embedding_types=types),
    ):
        found = answer.embeddings
        for precision in FORMATS:
            assert_quantized(door, getattr(found, precision), precision)
        decoded = [np.frombuffer(base64.b64decode(text), "<f4") for text in found.base64]
        assert np.array_equal(np.array(decoded), np.array(found.float_, np.float32))
