"""The order in which weights are stored: the one in which the kernels read them.

The product of a token and a panel of features reads the weights of one input side by side, then
those of the next. The last panel is padded with zeros.
"""

import numpy as np

from semblance_model.quantize import Bytes
from semblance_model.weights import Array

# Features of a panel: two registers of AVX-512, four of AVX2, eight of NEON.
PANEL = 32

# The same for int8, and inputs that one instruction multiplies.
BYTE_PANEL = 16
GROUP = 4


def panels_of(weight: Array) -> Array:
    """A weight `[features, inputs]` as `[features / 32, inputs, 32]`."""
    features, inputs = weight.shape
    padded = np.pad(weight, ((0, -features % PANEL), (0, 0)))
    return np.ascontiguousarray(padded.reshape(-1, PANEL, inputs).transpose(0, 2, 1))


def byte_panels_of(weight: Bytes) -> Bytes:
    """A weight `[features, inputs]` as `[features / 16, inputs / 4, 16, 4]`."""
    features, inputs = weight.shape
    padded = np.pad(weight, ((0, -features % BYTE_PANEL), (0, -inputs % GROUP)))
    grouped = padded.reshape(-1, BYTE_PANEL, padded.shape[1] // GROUP, GROUP)
    return np.ascontiguousarray(grouped.transpose(0, 2, 1, 3))
