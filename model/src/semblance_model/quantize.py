"""Quantizes fp32 values to int8 with scales, for int8 bundles."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semblance_model.weights import Array

Bytes = NDArray[np.int8]
Integers = NDArray[np.int32]

_LARGEST = 127

# x86 processors with AVX2 and no VNNI add two products of a uint8 and an int8 in 16 bits, and
# saturate. The two products are those of inputs 2k and 2k + 1; 255 * 128 is less than 2^15.
_LARGEST_PAIR = 128

# Factor by which a scale grows until no pair exceeds the limit after rounding.
_STEP = np.float32(1.002)


class Dense(NamedTuple):
    """A dense layer: each row of `values` `[outputs, inputs]` times its scale `[outputs]`."""

    values: Bytes
    scales: Array


class Rows(NamedTuple):
    """A table: `values` `[rows, columns]` times `scales` `[rows]`."""

    values: Bytes
    scales: Array


def quantize_dense(weight: Array) -> Dense:
    """Quantizes `[outputs, inputs]` with the smallest scales at which no product saturates."""
    scales = np.maximum(_largest(weight) / _LARGEST, _largest_pair(weight) / _LARGEST_PAIR)
    scales[scales == 0] = 1
    values = _rounded(weight, scales)
    while (above := _largest_pair(values) > _LARGEST_PAIR).any():
        scales[above] *= _STEP
        values = _rounded(weight, scales)
    return Dense(values.astype(np.int8), scales)


def quantize_rows(table: Array) -> Rows:
    """Quantizes a table `[rows, columns]` with one scale per row."""
    scales = _largest(table) / np.float32(_LARGEST)
    scales[scales == 0] = 1
    return Rows(_rounded(table, scales).astype(np.int8), scales)


def channel_factors(largest_activations: Array, *weights: Array) -> Array:
    """Factors `[inputs]` that divide activations and multiply weights `[outputs, inputs]`.

    SmoothQuant (arXiv 2211.10438, equation 4) with both exponents 1/2, over the weights that share
    the activations. A factor is a power of the square root of two, so rounding differences between
    processors give the same factor.
    """
    largest_weights = np.max([np.abs(weight).max(axis=0) for weight in weights], axis=0)
    ratios = np.ones_like(largest_activations)
    used = (largest_activations > 0) & (largest_weights > 0)
    np.divide(largest_activations, largest_weights, out=ratios, where=used)
    return np.exp2(np.rint(np.log2(ratios)) / 2).astype(np.float32)


def _largest(rows: Array) -> Array:
    largest: Array = np.abs(rows).max(axis=1)
    return largest


def _largest_pair(weight: Array) -> Array:
    """The largest sum of two neighboring weights of the same sign, for each output."""
    padded = np.pad(weight, ((0, 0), (0, weight.shape[1] % 2)))
    sums = [
        (side[:, 0::2] + side[:, 1::2]).max(axis=1)
        for side in (np.maximum(padded, 0), np.maximum(-padded, 0))
    ]
    largest: Array = np.maximum(*sums)
    return largest


def _rounded(rows: Array, scales: Array) -> Array:
    rounded: Array = np.clip(np.rint(rows / scales[:, np.newaxis]), -_LARGEST, _LARGEST)
    return rounded
