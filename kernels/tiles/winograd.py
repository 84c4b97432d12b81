"""Winograd's convolution over tiles: into its points and back (``kernels.winograd``).

A convolution along a line is one product a *point* instead of one a tap of the kernel's row; over
channels and the kernel's lines it stays the sum that ``product`` computes:

    forward   y  = Aᵀ sum over (c, i) of (G w) * (Bᵀ x)     ToPoints of x, Product, FromPoints
    backward  dx = B  sum over (o, i) of (G w) * (A dy)     ToPoints of dy, Product, FromPoints
              dw = Gᵀ sum over images and outputs of (A dy) * (Bᵀ x)    ConvDWeight

A line is cut into *pieces* of M outputs, each with its N points. A picture (c, h, w) becomes
(c, point, h, piece): at one point the pieces of all lines lie next to each other, and a product
goes through them in one run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..arrays import LANES, Array
from ..cpu.windows import at
from .blocks import load_each, places_of, weighted
from .instruction import Group, Place, inner, kernel
from .lanes import fill, load, store
from .move import set_zero


class Pieces(NamedTuple):
    """How the lines of a picture are cut into pieces.

    Piece k has the columns from k ``step`` - ``left`` on. Some may lie outside the picture.
    """

    channels: int
    height: int  # of the picture
    width: int
    number: int  # in a line
    step: int  # columns from a piece to the next: M
    left: int
    top: int  # lines of zeros above the picture, among the points
    lines: int  # among the points
    points: int  # N: of a piece


class ToPoints(NamedTuple):
    """out[point] = sum over cells of matrix[point, cell] x[cell], for each piece: Bᵀ x, or A dy."""

    x: Place
    out: Place
    matrix: Place  # in ``weights``
    cells: int  # of a piece: columns of the matrix
    pieces: Pieces
    x_tile: int
    out_tile: int
    zeros: Place  # a cell of zeros


OfLine: TypeAlias = Callable[[ToPoints, int, int, Array, Array], None]


def _make_to_points(cells: int) -> OfLine:
    """All pieces of a line of the picture, which begins at ``x``; its points go to ``out``."""

    @inner()
    def of_line(op: ToPoints, x: int, out: int, memory: Array, weights: Array) -> None:
        pieces = op.pieces
        plane = pieces.lines * pieces.number * LANES  # from one point to the next
        for k in range(pieces.number):
            first = k * pieces.step - pieces.left
            places = places_of(cells, x, first, pieces.width, LANES, op.zeros)
            piece = load_each(LANES, memory, places, 0)
            for p in range(pieces.points):
                cell = weighted(weights, op.matrix + p * cells, piece)
                store(memory, out + p * plane + k * LANES, cell)

    return of_line


_of_eight, _of_six, _of_four = (_make_to_points(cells) for cells in (8, 6, 4))


@kernel
def to_points(op: ToPoints, group: Group) -> None:
    """Line by line; zeros where the picture has none."""
    memory, weights, pieces = group.memory, group.weights, op.pieces
    length = pieces.number * LANES
    for t in range(group.tiles):
        for c in range(pieces.channels):
            for line in range(pieces.lines):
                out = op.out + t * op.out_tile
                out += (c * pieces.points * pieces.lines + line) * length
                h = line - pieces.top
                x = op.x + t * op.x_tile + (c * pieces.height + h) * pieces.width * LANES
                if h < 0 or h >= pieces.height:
                    for p in range(pieces.points):
                        set_zero(memory, out + p * pieces.lines * length, length)
                elif op.cells == 8:
                    _of_eight(op, x, out, memory, weights)
                elif op.cells == 6:
                    _of_six(op, x, out, memory, weights)
                else:
                    _of_four(op, x, out, memory, weights)


class FromPoints(NamedTuple):
    """y[cell] = sum over points of matrix[cell, point] x[point]: Aᵀ, or B.

    Neighbouring pieces of dx overlap: there their cells are added.
    """

    x: Place  # as ``ToPoints`` leaves it
    y: Place
    matrix: Place  # in ``weights``
    cells: int  # of a piece: rows of the matrix
    pieces: Pieces
    x_tile: int
    y_tile: int
    bias: Place  # in ``weights``, a number a channel
    has_bias: int


FromLine: TypeAlias = Callable[[FromPoints, int, int, float, Array, Array], None]


def _make_from_points(points: int) -> FromLine:
    """All pieces of a line: its points begin at ``x``, the line of the picture at ``y``."""

    @inner()
    def from_line(
        op: FromPoints, x: int, y: int, bias: float, memory: Array, weights: Array
    ) -> None:
        pieces = op.pieces
        plane = pieces.lines * pieces.number * LANES
        overlap = op.cells - pieces.step
        places = places_of(points, x, 0, points, plane, x)
        for k in range(pieces.number):
            piece = load_each(LANES, memory, places, k * LANES)
            for cell in range(op.cells):
                column = k * pieces.step - pieces.left + cell
                if 0 <= column < pieces.width:
                    a = fill(LANES, bias) + weighted(weights, op.matrix + cell * points, piece)
                    if k > 0 and cell < overlap:  # the piece before has been here
                        a = a + load(LANES, memory, y + column * LANES)
                    store(memory, y + column * LANES, a)

    return from_line


_from_eight, _from_six = (_make_from_points(points) for points in (8, 6))


@kernel
def from_points(op: FromPoints, group: Group) -> None:
    """Line by line."""
    memory, weights, pieces = group.memory, group.weights, op.pieces
    for t in range(group.tiles):
        for c in range(pieces.channels):
            bias = weights[at(op.bias + c)] if op.has_bias else memory.dtype.type(0)
            for h in range(pieces.height):
                x = op.x + t * op.x_tile
                x += (c * pieces.points * pieces.lines + h) * pieces.number * LANES
                y = op.y + t * op.y_tile + (c * pieces.height + h) * pieces.width * LANES
                if pieces.points == 8:
                    _from_eight(op, x, y, bias, memory, weights)
                else:
                    _from_six(op, x, y, bias, memory, weights)


class WeightsToPoints(NamedTuple):
    """G w for both products, once a step: four rows lie next to each other, tap by tap.

    Number (o, c, i) at a point stands, for the forward product with rows o and taps (c, i), at

        out + point size + ((o // 4) taps + tap) 4 + o % 4

    and for that of dX, with rows c and taps (i, o), likewise at ``turned``.
    """

    w: Place  # (O, C, KH, KW)
    out: Place  # in ``weights``, as all of these
    turned: Place
    with_turned: int  # 0: nobody asks for dX
    matrix: Place  # G, (N, KW)
    points: int
    outputs: int  # O
    channels: int  # C
    kh: int
    kw: int


@kernel
def weights_to_points(op: WeightsToPoints, group: Group) -> None:
    """Number by number."""
    w = group.weights
    taps, turned_taps = op.channels * op.kh, op.kh * op.outputs
    size = (op.outputs + 3) // 4 * 4 * taps
    turned_size = (op.channels + 3) // 4 * 4 * turned_taps
    for o in range(op.outputs):
        for c in range(op.channels):
            for i in range(op.kh):
                row = op.w + ((o * op.channels + c) * op.kh + i) * op.kw
                place = op.out + ((o // 4) * taps + c * op.kh + i) * 4 + o % 4
                other = op.turned + ((c // 4) * turned_taps + i * op.outputs + o) * 4 + c % 4
                for p in range(op.points):
                    total = w.dtype.type(0)
                    for j in range(op.kw):
                        total += w[at(op.matrix + p * op.kw + j)] * w[at(row + j)]
                    w[at(place + p * size)] = total
                    if op.with_turned:
                        w[at(other + p * turned_size)] = total


class WeightGradient(NamedTuple):
    """dw += Gᵀ (what ``ConvDWeight`` has summed at the points), once a step."""

    sums: Place  # in ``gradients``: (N, O, C KH)
    dweight: Place  # in ``gradients``: (O, C, KH, KW)
    matrix: Place  # G, (N, KW)
    points: int
    rows: int  # O C KH
    kw: int


@kernel
def weight_gradient(op: WeightGradient, group: Group) -> None:
    """Row by row of the kernels."""
    for row in range(op.rows):
        for j in range(op.kw):
            total = group.gradients.dtype.type(0)
            for p in range(op.points):
                factor = group.weights[at(op.matrix + p * op.kw + j)]
                total += factor * group.gradients[at(op.sums + p * op.rows + row)]
            group.gradients[at(op.dweight + row * op.kw + j)] += total
