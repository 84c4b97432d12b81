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
    4: (0, Fraction(4, 3), Fraction(-4, 3), Fraction(1, 2)),
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
def matrices(outputs: int, taps: int, among: int = 0) -> Matrices:
    """F(M, R) at M + R - 2 of ``POINTS`` and at infinity.

    outputs: M; taps: R; M + R - 2 may be 7 at most; among: if not 0, which of ``POINTS`` to take
    the first of.
    """
    finite = outputs + taps - 2
    points = [Fraction(p) for p in POINTS.get(among or finite, POINTS[7])[:finite]]
    # N_i, the product of a point's distances from the others
    scale = [prod(p - q for q in points if q != p) for p in points]
    powers = [[p**k for k in range(max(outputs, taps))] for p in points]

    # the last point is infinity: there a polynomial's value is its highest coefficient
    a = [row[:outputs] for row in powers] + [_unit(outputs)]
    g = [[x / s for x in row[:taps]] for row, s in zip(powers, scale, strict=True)] + [_unit(taps)]
    b = [[*_with_zeros([q for q in points if q != p]), Fraction(0)] for p in points]
    b.append(_with_zeros(points))
    return Matrices(np.array(a).T, np.array(g), np.array(b))


# of the strided form, the point of each of the 9 values: 5 of even cells, 4 of odd ones
STRIDED = (0, 1, 2, 3, 4, 0, 1, 2, 4)


@cache
def strided_matrices() -> Matrices:
    """4 outputs of a kernel of 3 taps with stride 2, from 9 cells: Aᵀ (4, 5), G (9, 3), Bᵀ (9, 9).

    y[k] = w0 x[2k] + w2 x[2k + 2] + w1 x[2k + 1]: the even cells in F(4, 2), plus the odd ones in
    F(4, 1). The points of this are among those of that, so the sum can be taken at the points:
    value v belongs to point ``STRIDED[v]``.
    """
    even, odd = matrices(4, 2), matrices(4, 1, among=4)
    weights, inputs = np.full((9, 3), Fraction(0)), np.full((9, 9), Fraction(0))
    weights[:5, ::2], weights[5:, 1::2] = even.weights, odd.weights
    inputs[:5, ::2], inputs[5:, 1::2] = even.inputs, odd.inputs
    return Matrices(even.outputs, weights, inputs)


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
