"""The bias of MPNet's attention, which depends on the distance of two tokens.

Source: `MPNetEncoder.relative_position_bucket` of transformers, which is T5's: near distances have
a bucket each, far ones share buckets on a logarithmic scale.
"""

import numpy as np
from numpy.typing import NDArray

from semblance_model.weights import Array

_FARTHEST = 128


def bias_by_distance(table: Array, positions: int) -> Array:
    """`[heads, 2 * positions - 1]` of a table `[buckets, heads]`.

    Column `d + positions - 1` is for a key `d` tokens after its query.
    """
    distances = np.arange(1 - positions, positions)
    return np.ascontiguousarray(table[_buckets(distances, len(table))].T)


def _buckets(distances: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    half = count // 2
    near = half // 2
    away = np.abs(distances)
    # In float32, like torch: the logarithm decides between two buckets.
    scale = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(near))
    scale = scale / np.float32(np.log(_FARTHEST / near)) * np.float32(half - near)
    far = np.minimum(near + scale.astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(away < near, away, far)
