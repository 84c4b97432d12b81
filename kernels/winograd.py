"""Fewer products along a row: the matrices of Winograd's (Toom's and Cook's) convolution.

A kernel of R taps slides over a row d. M neighbouring outputs

    y[k] = sum over j < R of g[j] d[k + j],   k = 0 ... M - 1

see N = M + R - 1 cells of the row and cost M R products. But g and d can be read as polynomials;
then y is computed from the values of both at N points, one product a point:

    y = Aᵀ [(G g) * (Bᵀ d)]        Aᵀ: M x N,   G: N x R,   Bᵀ: N x N,   * cell by cell

(Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", 2016, who call it F(M, R).) The three matrices hold constants.
docs/winograd.md derives them, shows them for F(2, 3), and states what is lost to rounding.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np

# The finite points, by their number: pairs a and -a, which share most of their sums, with small
# powers and small inverses. Of five, these lose the least to rounding (docs/winograd.md).
POINTS = {
    3: (0, 1, -1),
    5: (0, Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)),
    7: (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)),
}


class Matrices(NamedTuple):
    """F(M, R), exact: arrays of fractions.

    Attributes:
        outputs: Aᵀ, (M, N): from the values at the points to the outputs.
        weights: G, (N, R): the kernel's values at the points.
        inputs: Bᵀ, (N, N): what the row's cells become.
    """

    outputs: np.ndarray
    weights: np.ndarray
    inputs: np.ndarray


@cache
def matrices(outputs: int, taps: int) -> Matrices:
    """F(M, R) at M + R - 2 of ``POINTS`` and at infinity.

    outputs: M; taps: R; M + R - 2 may be 7 at most.
    """
    finite = outputs + taps - 2
    points = [Fraction(p) for p in POINTS.get(finite, POINTS[7][:finite])]
    # N_i, the product of a point's distances from the others
    scale = [prod(p - q for q in points if q != p) for p in points]
    powers = [[p**k for k in range(max(outputs, taps))] for p in points]

    # the last point is infinity: there a polynomial's value is its highest coefficient
    a = [row[:outputs] for row in powers] + [_unit(outputs)]
    g = [[x / s for x in row[:taps]] for row, s in zip(powers, scale, strict=True)] + [_unit(taps)]
    b = [[*_with_zeros([q for q in points if q != p]), Fraction(0)] for p in points]
    b.append(_with_zeros(points))
    return Matrices(np.array(a).T, np.array(g), np.array(b))


def _unit(size: int) -> list[Fraction]:
    return [Fraction(int(k == size - 1)) for k in range(size)]


def _with_zeros(zeros: list[Fraction]) -> list[Fraction]:
    """The coefficients, from x**0 on, of the polynomial prod (x - zero)."""
    coefficients = [Fraction(1)]
    for zero in zeros:
        shifted = [Fraction(0), *coefficients]
        scaled = [*(-zero * c for c in coefficients), Fraction(0)]
        coefficients = [x + y for x, y in zip(shifted, scaled, strict=True)]
    return coefficients
