"""Winograd's convolution, of the weights: to their points before a step, and dW back after it.

See ``winograd``: G w, and dw = Gᵀ of what has been summed at the points.
"""

from __future__ import annotations

from typing import NamedTuple

from ..arrays import LANES
from ..cpu.windows import at
from .blocks import gather_each, load_each, steps, store_each
from .instruction import Group, Place, kernel
from .winograd import Way, times


class WeightsToPoints(NamedTuple):
    """G w (of a square G w Gᵀ), once a step: a ``Product``'s weights, 16 rows next to each other.

    Its rows are output channels and its taps (c, i), i a line of the kernel (a square has none);
    or, for dX, its rows are channels and its taps (i, o). Number (row, (j, k)) at a point stands at

        out + point size + ((row // 16) taps + tap) 16 + row % 16,  tap = j inner + k
    """

    w: Place  # in ``weights``: of row 0 and tap 0
    out: Place  # in ``weights``
    way: Way
    rows: int
    row_step: int  # in ``w``, from one row to the next
    outer: int
    outer_step: int
    inner: int
    inner_step: int
    first: int  # the first row, a multiple of 16
    last: int  # the one after the last


@kernel
def weights_to_points(op: WeightsToPoints, group: Group) -> None:
    """Sixteen rows at a time: along each line of the kernel, and of a square then along the columns
    of what came out."""
    w, taps, way = group.weights, op.outer * op.inner, op.way
    points, cells = way.points, way.cells
    size = (op.rows + LANES - 1) // LANES * LANES * taps
    for row in range(op.first, op.last, LANES):
        out, number = op.out + row * taps, min(LANES, op.rows - row)
        for j in range(op.outer):
            for k in range(op.inner):
                place = op.w + row * op.row_step + j * op.outer_step + k * op.inner_step
                for i in range(way.lines):
                    line = gather_each(cells, w, place + i * cells, op.row_step, number)
                    to = steps(points, out + i * points * size, size)
                    store_each(w, to, 0, points, times(way.matrix, line))
                for i in range(points if way.lines > 1 else 0):
                    to = steps(points, out + i * size, points * size)
                    column = load_each(LANES, w, steps(cells, out + i * size, points * size), 0)
                    store_each(w, to, 0, points, times(way.matrix, column))
                out += LANES


class WeightGradient(NamedTuple):
    """dw += Gᵀ (what has been summed at the points), once a step. It leaves none of the sums."""

    sums: Place  # in ``gradients``: (values, O, C lines)
    dweight: Place  # in ``gradients``: (O, C, KH, KW)
    way: Way
    outputs: int  # O
    row: int  # C lines
    pitch: int  # from one row of the sums to the next: a multiple of 16
    first: int  # the first output channel
    last: int  # the one after the last


@kernel
def weight_gradient(op: WeightGradient, group: Group) -> None:
    """16 numbers of a row at a time: along each line of points, and of a square then along the
    columns of what came out."""
    gradients, way, point = group.gradients, op.way, op.outputs * op.pitch
    points, cells, is_square = way.points, way.cells, way.lines > 1
    for o in range(op.first, op.last):
        for k in range(0, op.row, LANES):
            start = op.sums + o * op.pitch + k
            for i in range(points if is_square else 1):
                first = start + i * points * point
                line = load_each(LANES, gradients, steps(points, first, point), 0)
                to = steps(cells, first, point)
                store_each(gradients, to, 0, cells, times(way.matrix, line))
            for i in range(cells if is_square else 0):
                of_column = steps(points, start + i * point, points * point)
                column = load_each(LANES, gradients, of_column, 0)
                to = steps(cells, start + i * point, points * point)
                store_each(gradients, to, 0, cells, times(way.matrix, column))
            size = way.lines * cells
            place = op.dweight + (o * op.row + k) * size
            for lane in range(min(LANES, op.row - k)):
                for cell in range(size):
                    # of a square, line i of its cells stands where line i of the points did
                    away = (cell // cells * points + cell % cells) * point + lane
                    gradients[at(place + lane * size + cell)] += gradients[at(start + away)]
