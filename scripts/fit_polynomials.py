"""Computes the coefficients of the polynomials in src/kernels/activation.rs, and prints them.

The coefficients minimize the largest weighted error. Lawson's algorithm finds them: it repeats a
fit by least squares, and multiplies the weight of each point by its last error.

    python scripts/fit_polynomials.py
    python scripts/fit_polynomials.py --check

With --check, the script compares them with the source, and fails if they differ.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

SOURCE = Path(__file__).resolve().parents[1] / "src/kernels/activation.rs"
POINTS, ROUNDS = 2_001, 1_000
# The last digits of a fit vary with the numbers of points and rounds.
TOLERANCE = 1e-5

Values = NDArray[np.float64]


def fit(x: Values, y: Values, weight: Values, degree: int) -> tuple[Values, float]:
    """The coefficients, the highest power first, and the largest weighted error."""
    domain = (x[0], x[-1])
    powers = np.polynomial.chebyshev.chebvander(
        (2 * x - domain[0] - domain[1]) / (domain[1] - domain[0]), degree
    )
    counts = np.full_like(x, 1 / len(x))
    best: Values = np.zeros(degree + 1, dtype=np.float64)
    smallest = math.inf
    for _ in range(ROUNDS):
        scale = np.sqrt(counts) * weight
        found = np.linalg.lstsq(powers * scale[:, None], y * scale, rcond=None)[0]
        errors = np.abs(powers @ found - y) * weight
        if errors.max() < smallest:
            best, smallest = found.astype(np.float64), float(errors.max())
        counts *= errors
        counts /= counts.sum()
    polynomial = Chebyshev(best, domain=domain).convert(
        kind=Polynomial, domain=[-1, 1], window=[-1, 1]
    )
    return np.asarray(polynomial.coef, dtype=np.float64)[::-1], smallest


def points(start: float, end: float) -> Values:
    """Points from start to end, denser at both."""
    angles = np.linspace(0, np.pi, POINTS)
    return (start + end) / 2 - (end - start) / 2 * np.cos(angles)


def gelu() -> tuple[Values, float]:
    """`-log2(erfc(u / sqrt(2))) / u` for u from 0 to 6, as a polynomial of -u.

    The weight is the change of `u * erfc(u / sqrt(2)) / 2` when the polynomial changes.
    """
    # At 0 the quotient is its limit.
    u = np.maximum(points(0, 6), 1e-9)
    tail = np.array([math.erfc(value / math.sqrt(2)) for value in u])
    return fit(-u[::-1], (-np.log2(tail) / u)[::-1], (u * u * tail / 2 * math.log(2))[::-1], 7)


def exp2() -> tuple[Values, float]:
    """`2^x` for x from -0.5 to 0.5. The error is relative."""
    x = points(-0.5, 0.5)
    return fit(x, 2.0**x, 2.0**-x, 6)


def in_source(name: str) -> list[float]:
    """The coefficients of a function in the source."""
    text = SOURCE.read_text()
    body = text[text.index(f"fn {name}<S: Simd>") :]
    listed = re.search(r"polynomial\([^\[]*\[(.*?)\]", body, re.DOTALL)
    if not listed:
        sys.exit(f"{SOURCE}: {name} has no polynomial")
    numbers = listed[1].replace("_", "").replace("std::f32::consts::LN2", str(math.log(2)))
    return [float(number) for number in numbers.split(",") if number.strip()]


def main() -> None:
    """Print the coefficients, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with the source")
    check = parser.parse_args().check
    for name, (coefficients, error) in (("gelu", gelu()), ("exp2", exp2())):
        if not check:
            print(f"{name}: largest error {error:.2g}")
            print("".join(f"    {value:.8g}\n" for value in coefficients), end="")
            continue
        listed = in_source(name)
        if len(listed) != len(coefficients) or not np.allclose(
            listed, coefficients, rtol=TOLERANCE, atol=0
        ):
            sys.exit(f"{SOURCE}: {name} has {listed}, but the fit is {coefficients.tolist()}")


if __name__ == "__main__":
    main()
