"""Products: the convolution, the dense layer and the gradients of both.

Five of them are one instruction, ``Product``,

    y[row] = sum_tap w[row, tap] x[tap]

where y[row] and x[tap] are runs of neighbouring cells. Only the tables differ that say where rows
and taps begin; ``minicnn.compiler.cpu`` makes them, in ``conv`` and ``linear``. The weight gradient
of a convolution sums over cells instead of taps, and is an instruction of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..arrays import LANES
from ..cpu.windows import at
from .blocks import (
    add_each,
    add_outer,
    fill_each,
    load_each,
    repeat,
    store_each,
    take,
    take_at,
    total_each,
)
from .instruction import Group, Place, inner, kernel
from .lanes import fill, has_avx512, load, total

TAPS = 5  # that ``dots`` keeps in registers, with 4 rows
WIDE = 64 if has_avx512() else 16  # cells of each of 4 rows that ``product`` keeps there
FROM_ZERO, FROM_BIAS, ADD = 0, 1, 2  # what a sum begins with; ADD: with what stands in y
IMAGES = 0  # as a length, or as a number of taps: the images of the group


class Product(NamedTuple):
    """y[row] = sum_tap w[row, tap] x[tap] for ``lines`` lines of each tile.

    For a line of a convolution's output, y[row] is that line of output channel ``row``, and x[tap]
    with tap = (c, i, j) is the input's line oh SH + i DH from column j DW on: the row (c, i, j) of
    im2col, used where it lies instead of being copied. The input gradient goes through the lines h
    of dx: its rows are (c, j), its taps the (i, o) whose line (h - i DH) / SH of dy exists; each
    row is *added* to dx from column j DW on, which is col2im.

    A dense layer is one line for the whole group: row o is output o of all images, tap k is feature
    k of all images. In its weight gradient the taps are the images, and a row is a row of dW.
    """

    y: Place  # in ``memory``, or in ``gradients`` if ``is_gradient``
    x: Place  # in ``memory``
    w: Place  # in ``weights``; in ``memory`` if ``is_gradient``: dW = dy x, and dy is the w here
    rows: int
    y_rows: int  # table: where row r begins, counted from the line's place in y
    w_rows: int  # table: where the numbers of row r begin, counted from w
    x_taps: int  # table: where the run of tap t begins, counted from the line's place in x
    w_taps: int  # table: where the number of tap t stands, counted from its row's in w
    lines: int
    line_table: int  # table, four numbers a line: its place in y and in x, first tap, taps
    length: int  # cells of a run, a multiple of 16; or IMAGES
    begin: int = FROM_ZERO  # FROM_ZERO, FROM_BIAS or ADD
    bias: Place = 0  # in ``weights``: where the bias of row 0 stands
    y_tile: int = 0  # from one tile to the next, in y and in x; both 0: the group is one matrix
    x_tile: int = 0
    is_gradient: int = 0


class Line(NamedTuple):
    """One line of a ``Product``: where it begins in y and x, its taps, and how long it is."""

    y: int
    x: int
    first: int  # tap
    taps: int
    length: int


def _make_block(rows: int, width: int) -> Any:
    """``rows`` (4 or 2) rows of a product by ``width`` cells: the sums stay in registers."""

    @inner(forceinline=True)
    def block(op, line, row, m, y, x, w, weights, tables):  # type: ignore[no-untyped-def]
        # rows after the last one are computed as the last one again, and not stored
        last = op.rows - 1
        if op.begin == FROM_BIAS:
            sums = fill_each(width, take(rows, weights, op.bias + row, op.bias + last))
        else:
            sums = repeat(rows, fill(width, y.dtype.type(0)))

        # w[row, tap] stands at w + w_rows[row] + w_taps[tap]
        of_row = take(rows, tables, op.w_rows + row, op.w_rows + last)
        for tap in range(line.first, line.first + line.taps):
            v = load(width, x, line.x + m + tables[at(op.x_taps + tap)])
            numbers = take_at(w, of_row, op.w + tables[at(op.w_taps + tap)])
            sums = add_outer(sums, numbers, (v,))

        places = take(rows, tables, op.y_rows + row, op.y_rows + last)
        if op.begin == ADD:
            add_each(y, places, line.y + m, op.rows - row, sums)
        else:
            store_each(y, places, line.y + m, op.rows - row, sums)

    return block


_four_by_64, _four_by_32, _four_by_16 = (_make_block(4, width) for width in (64, 32, 16))
_two_by_64, _two_by_16 = _make_block(2, 64), _make_block(2, 16)


@kernel
def product(op: Product, group: Group) -> None:
    """Every line of every tile, four rows at a time (two, where two or one are left)."""
    memory, weights, tables = group.memory, group.weights, group.tables
    y, w = (group.gradients, memory) if op.is_gradient else (memory, weights)
    images = group.tiles * LANES
    by_four = 4 * ((op.rows + 1) // 4)  # three rows left over are computed as four
    for tile in range(group.tiles if op.y_tile else 1):
        for k in range(op.line_table, op.line_table + 4 * op.lines, 4):
            line = Line(
                op.y + tile * op.y_tile + tables[at(k)],
                op.x + tile * op.x_tile + tables[at(k + 1)],
                tables[at(k + 2)],
                images if tables[at(k + 3)] == IMAGES else tables[at(k + 3)],
                images if op.length == IMAGES else op.length,
            )
            arrays = y, memory, w, weights, tables
            for row in range(0, by_four, 4):
                m = 0
                while WIDE == 64 and m < line.length - 48:
                    _four_by_64(op, line, row, m, *arrays)
                    m += 64
                if WIDE == 64 and m < line.length - 16:
                    _four_by_32(op, line, row, m, *arrays)
                    m += 32
                while m < line.length:
                    _four_by_16(op, line, row, m, *arrays)
                    m += 16
            for row in range(by_four, op.rows, 2):
                m = 0
                while WIDE == 64 and m < line.length - 48:
                    _two_by_64(op, line, row, m, *arrays)
                    m += 64
                while m < line.length:
                    _two_by_16(op, line, row, m, *arrays)
                    m += 16


class ConvDWeight(NamedTuple):
    """dW[o, (c, i, j)] += sum over images and outputs of dy[o] x[(c, i, j)]."""

    dy: Place  # in ``memory``
    x: Place  # in ``memory``: the input in its frame
    dweight: Place  # in ``gradients``
    rows: int  # output channels
    y_rows: int  # table: where channel o begins in a tile of dy
    taps: int  # C KH KW
    x_taps: int  # table: where the run of tap (c, i, j) begins, counted from the line's place in x
    lines: int  # of a picture of dy
    length: int  # cells of such a line
    y_line: int  # from one line to the next, in dy and in x
    x_line: int
    y_tile: int  # from one tile to the next
    x_tile: int


def _make_dots(rows: int) -> Any:
    """``rows`` (4 or 2) rows of dy against 5 taps: 20 sums of products, 16 cells each."""
    cells = rows * TAPS

    @inner()
    def dots(op, row, tap, tiles, memory, gradients, tables):  # type: ignore[no-untyped-def]
        # rows and taps after the last one are computed as the last one again, and not stored
        of_row = take(rows, tables, op.y_rows + row, op.y_rows + op.rows - 1)
        of_tap = take(TAPS, tables, op.x_taps + tap, op.x_taps + op.taps - 1)
        sums = repeat(cells, fill(16, memory.dtype.type(0)))
        for t in range(tiles):
            for line in range(op.lines):
                dy = op.dy + t * op.y_tile + line * op.y_line
                x = op.x + t * op.x_tile + line * op.x_line
                for m in range(0, op.length, 16):
                    of_dy = load_each(16, memory, of_row, dy + m)
                    of_x = load_each(16, memory, of_tap, x + m)
                    sums = add_outer(sums, of_dy, of_x)
        totals = total_each(sums)
        for r in range(min(rows, op.rows - row)):
            for k in range(min(TAPS, op.taps - tap)):
                gradients[at(op.dweight + (row + r) * op.taps + tap + k)] += totals[r * TAPS + k]

    return dots


_four_dots, _two_dots = _make_dots(4), _make_dots(2)


_four_dots, _two_dots = _make_dots(4), _make_dots(2)


@kernel
def conv_dweight(op: ConvDWeight, group: Group) -> None:
    """Four rows of dy against five taps at a time."""
    arrays = group.memory, group.gradients, group.tables
    by_four = 4 * ((op.rows + 1) // 4)
    for tap in range(0, op.taps, TAPS):
        for row in range(0, by_four, 4):
            _four_dots(op, row, tap, group.tiles, *arrays)
        for row in range(by_four, op.rows, 2):
            _two_dots(op, row, tap, group.tiles, *arrays)


class SumRows(NamedTuple):
    """db[row] += the sum of a row of dy: a channel's plane, or a dense layer's output."""

    dy: Place  # in ``memory``
    dbias: Place  # in ``gradients``
    rows: int
    pitch: int  # from one row to the next
    length: int  # cells of a row in a tile; or IMAGES, where the group is one matrix
    tile: int  # from one tile to the next; 0: the group is one matrix


@kernel
def sum_rows(op: SumRows, group: Group) -> None:
    """64 cells at a time; 16 at a time at a row's end."""
    memory = group.memory
    tiles = group.tiles if op.tile else 1
    length = group.tiles * LANES if op.length == IMAGES else op.length
    whole, zero = length // 64 * 64, memory.dtype.type(0)
    for row in range(op.rows):
        wide, narrow = fill(64, zero), fill(16, zero)
        for t in range(tiles):
            start = op.dy + t * op.tile + row * op.pitch
            for m in range(start, start + whole, 64):
                wide = wide + load(64, memory, m)
            for m in range(start + whole, start + length, 16):
                narrow = narrow + load(16, memory, m)
        group.gradients[at(op.dbias + row)] += total(wide) + total(narrow)
