"""Winograd's algorithm in fractions: a piece goes to its points and back without rounding.

``kernels.tiles.linear_map`` writes a matrix times vectors as sums and differences, many of them
shared. Here the same code is asked for them, with a builder that computes where LLVM's would write
an instruction: so these are the sums that the kernels have.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from minicnn.compiler.cpu.form import forms_of
from minicnn.kernels.tiles import winograd as tiles
from minicnn.kernels.tiles.winograd import DW, DX, DY, OUTPUTS, W, X, Y
from minicnn.winograd import Winograd
from tests.exact import loops
from tests.exact.layers import of_module
from tests.exact.operations import Operation
from tests.exact.ways import Setting, Way

FORMS = {  # the kernel and the stride that have it; whether it is the one of squares
    "F(4, 3)": ((1, 3), 1),
    "F(4, 5)": ((1, 5), 1),
    "F(4x4, 3x3)": ((3, 3), 1),
    "F(4x4, 3x3, stride 2)": ((3, 3), 2),
}
VECTOR = ir.VectorType(ir.DoubleType(), 1)


class Vector(NamedTuple):
    """What stands for one of LLVM's."""

    number: Fraction
    type: ir.VectorType = VECTOR


class Tuple(NamedTuple):
    """What stands for a tuple of vectors."""

    elements: list[Vector]

    @property
    def type(self) -> Tuple:
        return self


class Computing:
    """What stands for LLVM's builder, and for the context that makes tuples."""

    def fadd(self, a: Vector, b: Vector, flags: Any) -> Vector:
        return Vector(a.number + b.number)

    def fsub(self, a: Vector, b: Vector, flags: Any) -> Vector:
        return Vector(a.number - b.number)

    def fmul(self, constant: ir.Constant, b: Vector, flags: Any) -> Vector:
        """The constant is a fraction of small numbers, rounded to float64."""
        rounded = constant.constant[0].constant
        exact = Fraction(rounded).limit_denominator(10_000)
        assert float(exact) == rounded
        return Vector(exact * b.number)

    def extract_value(self, cells: Tuple, k: int) -> Vector:
        return cells.elements[k]

    def make_tuple(self, builder: Any, kind: Any, cells: Sequence[Vector]) -> list[Vector]:
        assert len(cells) == len(kind)
        return list(cells)


class Number(NamedTuple):
    """The type of a constant."""

    literal_value: int


def mapped(what: int, points: int, cells: np.ndarray) -> np.ndarray:
    """To the points, or back: ``cells`` on the last axis; what and points: see ``tiles.way_of``."""
    number, computing = Number(tiles.way_of(what, points).matrix), Computing()
    of_vectors = types.UniTuple(types.float64, cells.shape[-1])
    make: Any = tiles.times
    _, generate = make.__wrapped__(None, number, of_vectors)
    results = []
    for line in cells.reshape(-1, cells.shape[-1]):
        vectors = Tuple([Vector(Fraction(number)) for number in line])
        results.append(generate(computing, computing, None, (None, vectors)))
    numbers = [[vector.number for vector in line] for line in results]
    return np.array(numbers, object).reshape(*cells.shape[:-1], -1)


class Piece:
    """Four outputs along a line, or 4 x 4 of a square, of whole numbers.

    Attributes:
        by_points: y, dx, dw, by Winograd's algorithm in fractions.
        by_loops: the same, by loops.
    """

    def __init__(self, name: str, channels: int, outputs: int, rng: np.random.Generator):
        kernel_size, stride = FORMS[name]
        is_square = kernel_size[0] == 3
        (form,) = (f for f in forms_of(kernel_size, (stride, stride)) if f.is_square == is_square)
        seen = [stride * (OUTPUTS - 1) + k if k > 1 else 1 for k in kernel_size]
        places = OUTPUTS if is_square else 1, OUTPUTS
        x, w, dy = (
            rng.integers(-9, 10, shape)
            for shape in (
                (channels, *seen),
                (outputs, channels, *kernel_size),
                (outputs, *places),
            )
        )
        self.by_points = _by_points(form.points, list(form.values), x, w, dy)
        y = np.zeros((1, *dy.shape))
        strides = (stride, stride), (0, 0), (1, 1)
        x, w, dy = (a.astype(float) for a in (x[None], w, dy[None]))
        loops.conv(x, w, np.zeros(outputs), *strides, y)
        dx, dw, _ = loops.conv_backward(x, w, dy, *strides)
        self.by_loops = [y[0], dx[0], dw]


def _by_points(
    points: int, values: list[int], x: np.ndarray, w: np.ndarray, dy: np.ndarray
) -> list[np.ndarray]:
    """values: the point of each number that x and w become."""
    of_x, of_w, of_dy = (
        mapped(what, points, a.reshape(*a.shape[:-2], -1)) for what, a in ((X, x), (W, w), (DY, dy))
    )
    at_points = np.full((len(w), points), Fraction(0))
    at_dx, at_dw = np.full(of_x.shape, Fraction(0)), np.full(of_w.shape, Fraction(0))
    for (v, p), o, c in product(enumerate(values), range(len(w)), range(len(x))):
        at_points[o, p] += of_w[o, c, v] * of_x[c, v]
        at_dx[c, v] += of_w[o, c, v] * of_dy[o, p]
        at_dw[o, c, v] += of_dy[o, p] * of_x[c, v]
    back = (Y, at_points, dy), (DX, at_dx, x), (DW, at_dw, w)
    return [mapped(what, points, a).reshape(like.shape) for what, a, like in back]


def in_fractions(case: Operation, setting: Setting) -> list[np.ndarray]:
    """``minicnn.winograd`` on arrays of fractions."""
    layer: Any = case.layer
    operation = Winograd(layer.stride, layer.padding, layer.dilation, layer.places)
    x, w, b, dy = (as_fractions(a) for a in (case.x, *layer.parameters, case.dy))
    operation.needs_gradient = (True, True, True)
    y = operation.forward(x, w, b)
    dx, dw, db = operation.backward(dy)
    return [a.astype(float) for a in (y, *of_module(layer, [dw, db]), dx)]


def as_fractions(a: np.ndarray) -> np.ndarray:
    """An array of them."""
    return np.array([Fraction(int(number)) for number in a.flat], object).reshape(a.shape)


WAYS = {"Winograd's, in fractions": Way(in_fractions, Setting())}
