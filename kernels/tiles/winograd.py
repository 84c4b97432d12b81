"""Winograd's convolution over tiles: into its points and back (``kernels.winograd``).

A convolution is one product a *point* instead of one a tap; over the channels it stays the sum that
``product`` computes:

    forward   y  = Aᵀ sum over c of (G w) * (Bᵀ x)     ToPoints of x, Product, FromPoints
    backward  dx = B  sum over o of (G w) * (A dy)     ToPoints of dy, Product, FromPoints
              dw = Gᵀ sum over images and pieces of (A dy) * (Bᵀ x)

(With stride 2 the sum over c takes in several numbers at a point: ``strided_matrices``.)

Along a *row*, a line is cut into pieces of M = 4 outputs with N points each; the sums run over the
kernel's lines, too. As a *square*, F(4 x 4, 3 x 3), a picture is cut into pieces of 4 x 4 outputs
with N² points: the matrices are applied along the lines and along the columns. A picture (c, h, w)
becomes (point, c, piece): at one point the pieces of a channel lie next to each other, and a
product goes through them in one run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import LANES
from ..cpu.windows import at
from ..winograd import matrices, strided_matrices
from .blocks import (
    load_each,
    places_of,
    put_piece,
    steps,
    store_each,
)
from .instruction import Group, Place, inner, kernel
from .lanes import fill
from .linear_map import linear_map
from .transpose import transpose

OUTPUTS = 4  # of a piece, along a line: M


class Pieces(NamedTuple):
    """How a picture is cut into pieces, numbered from left to right, line by line.

    With stride 2 pieces of x lie twice as far apart, 2 OUTPUTS in place of OUTPUTS.

    Number k of line r has the columns from k OUTPUTS - ``left`` on. Along a row it has one line of
    the picture, r - ``top``; as a square those from r OUTPUTS - ``top`` on. Outside the picture
    there are zeros. Some pieces together are a *strip*: see ``Group.strip``.
    """

    channels: int
    height: int  # of the picture
    width: int
    across: int  # pieces in a line
    number: int  # of pieces in a strip
    top: int
    left: int
    taps: int  # of the kernel, along a line: 3 or 5
    is_gradient: int  # 1: of dy or dx


class ToPoints(NamedTuple):
    """The values of each piece at its points."""

    x: Place
    out: Place  # one strip
    pieces: Pieces
    x_tile: int  # from one tile to the next
    out_tile: int
    zeros: Place  # a cell of zeros


class RowToPoints(ToPoints):
    """Along a line Bᵀ x; of a result's gradient A dy."""


class SquareToPoints(ToPoints):
    """Of a square piece Bᵀ x B; of a result's gradient A dy Aᵀ."""


class StridedToPoints(ToPoints):
    """The same of a square piece with stride 2."""


def _make_to_points(
    matrix: np.ndarray, is_square: bool, apart: int = OUTPUTS
) -> Callable[[ToPoints, Group], None]:
    """A walk over all pieces, which begin ``apart`` columns apart."""
    cells = matrix.shape[1]
    lines, down = (cells, apart) if is_square else (1, 1)
    points, map_to_points = len(matrix) ** (1 + is_square), linear_map(matrix, is_square)

    @inner(inline="always")
    def walk(op: ToPoints, group: Group) -> None:
        memory, of = group.memory, op.pieces
        size, plane = (of.height, of.width), of.number * LANES
        point, start = of.channels * plane + LANES, group.strip * of.number
        for t in range(group.tiles):
            out = op.out + t * op.out_tile
            for c in range(of.channels):
                x = op.x + t * op.x_tile + c * of.height * of.width * LANES
                for piece in range(start, start + of.number):
                    r, k = piece // of.across, piece % of.across
                    first = r * down - of.top, k * apart - of.left
                    places = places_of(lines, cells, x, first, size, op.zeros)
                    values = map_to_points(load_each(LANES, memory, places, 0))
                    store_each(memory, steps(points, out, point), 0, points, values)
                    out += LANES

    return walk


ROW3, ROW5 = matrices(OUTPUTS, 3), matrices(OUTPUTS, 5)
STRIDED = strided_matrices()
_x3, _x5 = (_make_to_points(form.inputs, False) for form in (ROW3, ROW5))
_dy3, _dy5 = (_make_to_points(form.outputs.T, False) for form in (ROW3, ROW5))
_square_x, _square_dy = (_make_to_points(m, True) for m in (ROW3.inputs, ROW3.outputs.T))
_strided_x = _make_to_points(STRIDED.inputs, True, 2 * OUTPUTS)
_strided_dy = _make_to_points(STRIDED.outputs.T, True)


@kernel
def row_to_points(op: RowToPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    if op.pieces.taps == 3 and op.pieces.is_gradient:
        _dy3(op, group)
    elif op.pieces.taps == 3:
        _x3(op, group)
    elif op.pieces.is_gradient:
        _dy5(op, group)
    else:
        _x5(op, group)


@kernel
def square_to_points(op: SquareToPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    if op.pieces.is_gradient:
        _square_dy(op, group)
    else:
        _square_x(op, group)


@kernel
def strided_to_points(op: StridedToPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    if op.pieces.is_gradient:
        _strided_dy(op, group)
    else:
        _strided_x(op, group)


class FromPoints(NamedTuple):
    """Back from the points; of a gradient, cells of neighbours are added up."""

    x: Place  # as ``ToPoints`` leaves it, one strip
    y: Place
    pieces: Pieces  # of y
    x_tile: int
    y_tile: int
    bias: Place  # in ``weights``, a number a channel
    has_bias: int


class RowFromPoints(FromPoints):
    """Along a line y = Aᵀ m + b; of a gradient dx = B m."""


class SquareFromPoints(FromPoints):
    """Of a square piece y = Aᵀ m A + b; of a gradient dx = B m Bᵀ."""


class StridedFromPoints(FromPoints):
    """The same of a square piece with stride 2."""


def _make_from_points(
    matrix: np.ndarray, is_square: bool, apart: int = OUTPUTS
) -> Callable[[FromPoints, Group], None]:
    """A walk over all pieces, which begin ``apart`` columns apart."""
    cells, points = len(matrix), matrix.shape[1] ** (1 + is_square)
    lines, down = (cells, apart) if is_square else (1, 1)
    map_from_points = linear_map(matrix, is_square)

    @inner(inline="always")
    def walk(op: FromPoints, group: Group) -> None:
        memory, of = group.memory, op.pieces
        size, plane = (of.height, of.width), of.number * LANES
        point, start = of.channels * plane + LANES, group.strip * of.number
        for t in range(group.tiles):
            x = op.x + t * op.x_tile
            for c in range(of.channels):
                number = group.weights[at(op.bias + c)] if op.has_bias else memory.dtype.type(0)
                bias = fill(LANES, number)
                y = op.y + t * op.y_tile + c * of.height * of.width * LANES
                for piece in range(start, start + of.number):
                    r, k = piece // of.across, piece % of.across
                    first = r * down - of.top, k * apart - of.left
                    values = map_from_points(load_each(LANES, memory, steps(points, x, point), 0))
                    put_piece(lines, cells, memory, y, first, size, (r, k), bias, values, apart)
                    x += LANES

    return walk


_y3, _y5 = (_make_from_points(form.outputs, False) for form in (ROW3, ROW5))
_dx3, _dx5 = (_make_from_points(form.inputs.T, False) for form in (ROW3, ROW5))
_square_y, _square_dx = (_make_from_points(m, True) for m in (ROW3.outputs, ROW3.inputs.T))
_strided_y = _make_from_points(STRIDED.outputs, True)
_strided_dx = _make_from_points(STRIDED.inputs.T, True, 2 * OUTPUTS)


@kernel
def row_from_points(op: RowFromPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    if op.pieces.taps == 3 and op.pieces.is_gradient:
        _dx3(op, group)
    elif op.pieces.taps == 3:
        _y3(op, group)
    elif op.pieces.is_gradient:
        _dx5(op, group)
    else:
        _y5(op, group)


@kernel
def square_from_points(op: SquareFromPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    if op.pieces.is_gradient:
        _square_dx(op, group)
    else:
        _square_y(op, group)


@kernel
def strided_from_points(op: StridedFromPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    if op.pieces.is_gradient:
        _strided_dx(op, group)
    else:
        _strided_y(op, group)


class TurnPoints(NamedTuple):
    """(point, channel, piece, image) to (point, piece, image, channel): see ``move.Turn``."""

    inp: Place  # one strip
    out: Place
    points: int
    channels: int
    plane: int  # of a channel at one point
    point: int  # from one point to the next in ``inp``
    pitch: int  # from one image to the next in ``out``: the channels, up to a multiple of 16
    inp_tile: int
    out_tile: int


@kernel
def turn_points(op: TurnPoints, group: Group) -> None:
    """16 channels of 16 images at a time; of the last channels there may be fewer."""
    memory = group.memory
    for t in range(group.tiles):
        for p in range(op.points):
            inp = op.inp + t * op.inp_tile + p * op.point
            out = op.out + t * op.out_tile + p * op.plane * op.pitch
            for first in range(0, op.plane, LANES):
                for c in range(0, op.channels, LANES):
                    # beyond the last channel stands what is not asked for
                    place, start = out + first * op.pitch + c, inp + c * op.plane + first
                    transpose(memory, place, op.pitch, memory, start, op.plane)
