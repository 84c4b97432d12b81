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
from .instruction import Fixed, Group, Place, kernel
from .lanes import fill
from .linear_map import linear_map
from .transpose import transpose

OUTPUTS = 4  # of a piece, along a line: M


X, DY, Y, DX, W, DW = range(6)  # what goes to the points, or comes back from there


class Way(NamedTuple):
    """A way of pieces to the points or back. A kernel is compiled for each."""

    matrix: Fixed  # a number: see ``_matrix_of``
    lines: Fixed  # of a piece; 1 along a row
    cells: Fixed  # of a line
    points: Fixed  # of a piece; of a kernel those of a line


# By the points of a piece of y: those of F(4, 3), of F(4, 5), of the square, of that with stride 2.
MATRICES = (matrices(OUTPUTS, 3), matrices(OUTPUTS, 5), strided_matrices())
FORMS = {6: (0, False), 8: (1, False), 36: (0, True), 25: (2, True)}


def way_of(what: int, points: int) -> Way:
    """That of X, DY... in the form that has this number of points for a piece of y."""
    form, is_square = FORMS[points]
    matrix = form * (DW + 1) + what
    there, back = _matrix_of(matrix).shape
    at_points, cells = (there, back) if what in (X, DY, W) else (back, there)
    is_kernel = what in (W, DW)
    return Way(
        matrix, cells if is_square else 1, cells, at_points ** (1 + (is_square and not is_kernel))
    )


def _matrix_of(number: int) -> np.ndarray:
    form, what = divmod(number, DW + 1)
    outputs, weights, inputs = MATRICES[form]
    return (inputs, outputs.T, outputs, inputs.T, weights, weights.T)[what]


times = linear_map(_matrix_of)


class Pieces(NamedTuple):
    """How a picture is cut into pieces, numbered from left to right, line by line.

    Number k of line r has the columns from k ``apart`` - ``left`` on. Along a row it has one line
    of the picture, r - ``top``; as a square those from r ``apart`` - ``top`` on. Outside the
    picture there are zeros. Some pieces together are a *strip*: see ``Group.strip``.
    """

    channels: int
    height: int  # of the picture
    width: int
    across: int  # pieces in a line
    number: int  # of pieces in a strip
    top: int
    left: int
    apart: Fixed  # OUTPUTS; with stride 2 pieces of x lie twice as far apart


class ToPoints(NamedTuple):
    """The values of each piece at its points: along a line Bᵀ x; of a result's gradient A dy.

    Of a square piece Bᵀ x B, and A dy Aᵀ.
    """

    x: Place
    out: Place  # one strip
    pieces: Pieces
    way: Way
    x_tile: int  # from one tile to the next
    out_tile: int
    zeros: Place  # a cell of zeros


@kernel
def to_points(op: ToPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    memory, of, way = group.memory, op.pieces, op.way
    size, plane = (of.height, of.width), of.number * LANES
    point, start = of.channels * plane + LANES, group.strip * of.number
    down = of.apart if way.lines > 1 else 1
    for t in range(group.tiles):
        out = op.out + t * op.out_tile
        for c in range(of.channels):
            x = op.x + t * op.x_tile + c * of.height * of.width * LANES
            for piece in range(start, start + of.number):
                r, k = piece // of.across, piece % of.across
                first = r * down - of.top, k * of.apart - of.left
                places = places_of(way.lines, way.cells, x, first, size, op.zeros)
                values = times(way.matrix, load_each(LANES, memory, places, 0))
                store_each(memory, steps(way.points, out, point), 0, way.points, values)
                out += LANES


class FromPoints(NamedTuple):
    """Back from the points: along a line y = Aᵀ m + b; of a gradient dx = B m.

    Of a square piece y = Aᵀ m A + b, and dx = B m Bᵀ. Cells of neighbours are added up in dx.
    """

    x: Place  # as ``ToPoints`` leaves it, one strip
    y: Place
    pieces: Pieces  # of y
    way: Way
    x_tile: int
    y_tile: int
    bias: Place  # in ``weights``, a number a channel
    has_bias: int


@kernel
def from_points(op: FromPoints, group: Group) -> None:
    """Piece by piece of 16 images."""
    memory, of, way = group.memory, op.pieces, op.way
    size, plane = (of.height, of.width), of.number * LANES
    point, start = of.channels * plane + LANES, group.strip * of.number
    down = of.apart if way.lines > 1 else 1
    for t in range(group.tiles):
        x = op.x + t * op.x_tile
        for c in range(of.channels):
            number = group.weights[at(op.bias + c)] if op.has_bias else memory.dtype.type(0)
            bias = fill(LANES, number)
            y = op.y + t * op.y_tile + c * of.height * of.width * LANES
            for piece in range(start, start + of.number):
                r, k = piece // of.across, piece % of.across
                first, after = (r * down - of.top, k * of.apart - of.left), (r, k)
                values = times(way.matrix, load_each(LANES, memory, steps(way.points, x, point), 0))
                put_piece(
                    way.lines, way.cells, memory, y, first, size, after, bias, values, of.apart
                )
                x += LANES


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
