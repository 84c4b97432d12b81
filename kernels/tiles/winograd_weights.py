"""Winograd's convolution, of the weights: to their points before a step, and dW back after it.

See ``winograd``: G w, and dw = Gᵀ of what has been summed at the points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import LANES
from ..cpu.windows import at
from .blocks import gather_each, load_each, steps, store_each
from .instruction import Group, Place, inner, kernel
from .linear_map import linear_map
from .winograd import ROW3, ROW5, STRIDED


class WeightsToPoints(NamedTuple):
    """G w (of a square G w Gᵀ), once a step: a ``Product``'s weights, 16 rows next to each other.

    Its rows are output channels and its taps (c, i), i a line of the kernel (a square has none);
    or, for dX, its rows are channels and its taps (i, o). Number (row, (j, k)) at a point stands at

        out + point size + ((row // 16) taps + tap) 16 + row % 16,  tap = j inner + k
    """

    w: Place  # in ``weights``: of row 0 and tap 0
    out: Place  # in ``weights``
    cells: int  # of a line of the kernel, 3 or 5; of a square 9
    stride: int
    rows: int
    row_step: int  # in ``w``, from one row to the next
    outer: int
    outer_step: int
    inner: int
    inner_step: int
    first: int  # the first row, a multiple of 16
    last: int  # the one after the last


def _make_weights(matrix: np.ndarray) -> Callable[[WeightsToPoints, Group], None]:
    """Along each line of the kernel; of a square then along the columns of what came out."""
    points, cells = matrix.shape
    map_weights = linear_map(matrix)

    @inner(inline="always")
    def walk(op: WeightsToPoints, group: Group) -> None:
        w, taps, lines = group.weights, op.outer * op.inner, op.cells // cells
        size = (op.rows + LANES - 1) // LANES * LANES * taps
        for row in range(op.first, op.last, LANES):
            out, number = op.out + row * taps, min(LANES, op.rows - row)
            for j in range(op.outer):
                for k in range(op.inner):
                    place = op.w + row * op.row_step + j * op.outer_step + k * op.inner_step
                    for i in range(lines):
                        line = gather_each(cells, w, place + i * cells, op.row_step, number)
                        to = steps(points, out + i * points * size, size)
                        store_each(w, to, 0, points, map_weights(line))
                    for i in range(points if lines > 1 else 0):
                        to = steps(points, out + i * size, points * size)
                        column = load_each(LANES, w, steps(cells, out + i * size, points * size), 0)
                        store_each(w, to, 0, points, map_weights(column))
                    out += LANES

    return walk


_weights3, _weights5, _strided_weights = (_make_weights(f.weights) for f in (ROW3, ROW5, STRIDED))


@kernel
def weights_to_points(op: WeightsToPoints, group: Group) -> None:
    """16 rows at a time."""
    if op.stride == 2:
        _strided_weights(op, group)
    elif op.cells == 5:
        _weights5(op, group)
    else:
        _weights3(op, group)


class WeightGradient(NamedTuple):
    """dw += Gᵀ (what has been summed at the points), once a step. It leaves none of the sums."""

    sums: Place  # in ``gradients``: (values, O, C lines)
    dweight: Place  # in ``gradients``: (O, C, KH, KW)
    cells: int  # of a line of the kernel, 3 or 5; of a square 9
    stride: int
    outputs: int  # O
    row: int  # C lines
    pitch: int  # from one row of the sums to the next: a multiple of 16
    first: int  # the first output channel
    last: int  # the one after the last


def _make_gradient(matrix: np.ndarray) -> Callable[[WeightGradient, Group], None]:
    """Along each line of points; of a square then along the columns of what came out."""
    points, cells = matrix.shape
    map_gradient = linear_map(matrix.T)

    @inner(inline="always")
    def walk(op: WeightGradient, group: Group) -> None:
        gradients, point, is_square = group.gradients, op.outputs * op.pitch, op.cells > cells
        for o in range(op.first, op.last):
            for k in range(0, op.row, LANES):
                start = op.sums + o * op.pitch + k
                for i in range(points if is_square else 1):
                    first = start + i * points * point
                    line = load_each(LANES, gradients, steps(points, first, point), 0)
                    to = steps(cells, first, point)
                    store_each(gradients, to, 0, cells, map_gradient(line))
                for i in range(cells if is_square else 0):
                    of_column = steps(points, start + i * point, points * point)
                    column = load_each(LANES, gradients, of_column, 0)
                    to = steps(cells, start + i * point, points * point)
                    store_each(gradients, to, 0, cells, map_gradient(column))
                place = op.dweight + (o * op.row + k) * op.cells
                for lane in range(min(LANES, op.row - k)):
                    for cell in range(op.cells):
                        # of a square, line i of its cells stands where line i of the points did
                        away = (cell // cells * points + cell % cells) * point + lane
                        gradients[at(place + lane * op.cells + cell)] += gradients[at(start + away)]

    return walk


_gradient3, _gradient5, _strided_gradient = (
    _make_gradient(f.weights) for f in (ROW3, ROW5, STRIDED)
)


@kernel
def weight_gradient(op: WeightGradient, group: Group) -> None:
    """16 numbers of a row at a time."""
    if op.stride == 2:
        _strided_gradient(op, group)
    elif op.cells == 5:
        _gradient5(op, group)
    else:
        _gradient3(op, group)
