"""Products: the convolution, the dense layer, and the gradients of both.

One instruction, ``Product``, serves five times: a convolution forward and its dX; a dense layer
forward, its dX and its dW. Only the tables differ that say where its rows and taps begin;
``minicnn/compiler/cpu/`` makes them, in ``conv.py`` and ``linear.py``. A convolution's dW sums over
cells instead of taps: ``ConvDWeight``. The gradient of a bias is ``SumRows``.

A *run* is a stretch of neighbouring numbers in an array: 16 images of neighbouring columns, say. A
field that is a table holds the index, in ``tables``, of the table's first entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..arrays import LANES, Array
from ..cpu.windows import at
from .blocks import (
    add_each,
    add_outer,
    ask_for_each,
    fill_each,
    load_each,
    repeat,
    store_each,
    take,
    take_at,
    take_run,
    total_each,
)
from .instruction import Group, Place, inner, kernel
from .lanes import fill, has_avx512, load, total

# What stays in registers: AVX-512 has 32 of 64 bytes, AVX2 16 of 32. ``product`` keeps the sums of
# 4 rows and WIDE numbers there, or of MANY rows and 16 numbers; ``dots`` those of 4 rows and TAPS
# taps, CELLS numbers each.
WIDE, MANY, TAPS, CELLS = (64, 16, 5, 16) if has_avx512() else (16, 6, 3, 8)
RUN = 2048  # numbers of x, at most, that all rows go through together
FEW = 6  # rows whose weights may lie anywhere: a register with the place of each
FROM_ZERO, FROM_BIAS, ADD = 0, 1, 2  # y is written, with the sum alone or plus a bias; or added to
IMAGES = 0  # as a length, or as a number of taps: the images of the group


class Product(NamedTuple):
    """y[row] = sum over taps of w[row, tap] x[tap], for each line of each tile.

    y[row] and x[tap] are runs of numbers, as long as the line says; w[row, tap] is one number:

        y[row]       begins at  y + tile y_tile + (the line's place in y) + tables[y_rows + row]
        x[tap]       begins at  x + tile x_tile + (the line's place in x) + tables[x_taps + tap]
        w[row, tap]  stands at  w + tables[w_rows + row] + tables[w_taps + tap]

    **Convolution.** A line is a line of outputs, a row an output channel. Tap (c, i, j) is what the
    line's windows see through the kernel's cell (i, j): of the input's line oh SH + i DH every
    SW-th column from j DW on. In the frame these lie next to each other (see ``conv.py``).

    **Its dX.** A line is a line of the framed dx. Row (c, j) is added to channel c of dx, to every
    SW-th column from j DW on, which is col2im; tap (i, o) is the line of dy that reaches it.

    **Dense layer.** One line for the whole group, a matrix (features, images): row o is output o of
    all images, tap k is feature k of all images. For dX, rows are features and taps outputs.

    **Its dW.** Row o is row o of dW, tap n is image n: x[n] is the features of that image side by
    side, for which ``move.Turn`` has turned x; w[o, n] is dy.
    """

    y: Place  # in ``memory``; for dW in ``gradients``
    x: Place  # in ``memory``
    w: Place  # in ``weights``; for dW it is dy, in ``memory``
    rows: int
    y_rows: int  # table, an entry for each row
    w_rows: int  # table, an entry for each row
    x_taps: int  # table, an entry for each tap
    w_taps: int  # table, an entry for each tap
    lines: int  # in a tile
    # table, five entries a line: its place in y, in x, its first tap, its taps, and the length of
    # its runs in numbers: a multiple of 16, or IMAGES
    line_table: int
    begin: int = FROM_ZERO  # FROM_ZERO, FROM_BIAS or ADD
    bias: Place = 0  # in ``weights``: the bias of row 0, read if ``begin`` is FROM_BIAS
    y_tile: int = 0  # from one tile to the next; 0: y and x are matrices of the whole group
    x_tile: int = 0
    is_gradient: int = 0  # 1 for dW
    in_sixteens: int = 0  # 1: the weights of the rows 16 k to 16 k + 15 lie next to each other
    w_tile: int = 0  # from one tile to the next, for dW
    x_strip: int = 0  # from one strip to the next, if x holds all of them: see ``Group.strip``


class Line(NamedTuple):
    """One line of a ``Product``: its places in y and x, its first tap and its taps, its length;
    where the weights begin."""

    y: int
    x: int
    first: int
    taps: int
    length: int
    w: int


class Run(NamedTuple):
    """Some cells of a line: ``width`` of them at a time."""

    first: int
    last: int  # the one after the last


Block: TypeAlias = Callable[[Product, Line, int, Run, Array, Array, Array, Array, Array], None]


def _make_block(rows: int, width: int) -> Block:
    """``rows`` rows of a product by ``width`` cells of a run: the sums stay in registers.

    The weights of more than FEW rows lie next to each other.
    """
    heads = rows if rows <= FEW else 1

    @inner(inline="always")
    def few(w: Array, of_row: tuple[int, ...], place: int) -> tuple[float, ...]:
        return take_at(w, of_row, place)

    @inner(inline="always")
    def more(w: Array, of_row: tuple[int, ...], place: int) -> tuple[float, ...]:
        return take_run(rows, w, place + of_row[0])

    numbers_of = few if rows <= FEW else more

    @inner(inline="always")
    def block(
        op: Product,
        line: Line,
        row: int,
        run: Run,
        y: Array,
        x: Array,
        w: Array,
        weights: Array,
        tables: Array,
    ) -> None:
        # ``take`` repeats the last row where there are fewer; what is too much is not stored
        last = op.rows - 1
        places = take(rows, tables, op.y_rows + row, op.y_rows + last)
        of_row = take(heads, tables, op.w_rows + row, op.w_rows + last)
        for m in range(run.first, run.last, width):
            if op.begin == FROM_BIAS:
                sums = fill_each(width, take(rows, weights, op.bias + row, op.bias + last))
            else:
                sums = repeat(rows, fill(width, y.dtype.type(0)))
            if op.begin == ADD:
                ask_for_each(y, places, line.y + m)
            for tap in range(line.first, line.first + line.taps):
                v = load(width, x, line.x + m + tables[at(op.x_taps + tap)])
                numbers = numbers_of(w, of_row, line.w + tables[at(op.w_taps + tap)])
                sums = add_outer(sums, numbers, (v,))
            if op.begin == ADD:  # row by row: rows of dX overlap
                add_each(y, places, line.y + m, op.rows - row, sums)
            else:
                store_each(y, places, line.y + m, op.rows - row, sums)

    return block


Rows: TypeAlias = Callable[[Product, Line, Run, Array, Array, Array, Array, Array], None]


_four_by_64, _two_by_64 = _make_block(4, 64), _make_block(2, 64)
_eight_by_32, _four_by_32 = _make_block(8, 32), _make_block(4, 32)
_many_by_16, _four_by_16, _two_by_16 = (_make_block(rows, 16) for rows in (MANY, 4, 2))


def _make_rows(many: int, blocks: tuple[Block, Block, Block]) -> Rows:
    """All rows by the cells of a run: ``many`` at a time if their weights lie as the first block
    needs them, the others four at a time, and the last one or two by the third block."""
    block, four, two = blocks

    @inner()
    def rows(
        op: Product,
        line: Line,
        run: Run,
        y: Array,
        x: Array,
        w: Array,
        weights: Array,
        tables: Array,
    ) -> None:
        by_many = op.rows // many * many if many <= FEW or op.in_sixteens else 0
        for row in range(0, by_many, many):
            block(op, line, row, run, y, x, w, weights, tables)
        # three rows left over are computed as four
        by_four = by_many + 4 * ((op.rows - by_many + 1) // 4)
        for row in range(by_many, by_four, 4):
            four(op, line, row, run, y, x, w, weights, tables)
        if by_four < op.rows:
            two(op, line, by_four, run, y, x, w, weights, tables)

    return rows


_rows_by_64 = _make_rows(4, (_four_by_64, _four_by_64, _two_by_64))
_rows_by_32 = _make_rows(8, (_eight_by_32, _four_by_32, _two_by_16))
_rows_by_16 = _make_rows(MANY, (_many_by_16, _four_by_16, _two_by_16))
_rows_by_wide = _rows_by_64 if WIDE == 64 else _rows_by_16


@kernel
def product(op: Product, group: Group) -> None:
    """Every line of every tile, run by run: what all rows make of a run.

    It is as long as all taps' x of it fit into a quarter of the first cache, where they stay while
    the rows' weights pass by; but WIDE cells at least (fewer at the line's end).
    """
    memory, weights, tables = group.memory, group.weights, group.tables
    y, w = (group.gradients, memory) if op.is_gradient else (memory, weights)
    images, x = group.tiles * LANES, op.x + group.strip * op.x_strip
    for tile in range(group.tiles if op.x_tile else 1):
        for k in range(op.line_table, op.line_table + 5 * op.lines, 5):
            line = Line(
                op.y + tile * op.y_tile + tables[at(k)],
                x + tile * op.x_tile + tables[at(k + 1)],
                tables[at(k + 2)],
                images if tables[at(k + 3)] == IMAGES else tables[at(k + 3)],
                images if tables[at(k + 4)] == IMAGES else tables[at(k + 4)],
                op.w + tile * op.w_tile,
            )
            longest = max(WIDE, RUN // max(1, line.taps) // WIDE * WIDE)
            wide = line.length // WIDE * WIDE
            for m in range(0, wide, longest):
                run = Run(m, min(m + longest, wide))
                _rows_by_wide(op, line, run, y, memory, w, weights, tables)
            m = wide
            if WIDE == 64 and m < line.length - 16:
                _rows_by_32(op, line, Run(m, m + 32), y, memory, w, weights, tables)
                m += 32
            if WIDE == 64 and m < line.length:
                _rows_by_16(op, line, Run(m, m + 16), y, memory, w, weights, tables)


class ConvDWeight(NamedTuple):
    """dW[o, (c, i, j)] += sum over the images and outputs of dy[o] x[(c, i, j)].

    dy[o] is a line of channel o of dy, x[(c, i, j)] the run that its windows see: as in the
    ``Product`` of the forward pass. A few lines are a *strip*: all rows and taps are summed over
    one before the next, so that it stays in the cache.
    """

    dy: Place  # in ``memory``
    x: Place  # in ``memory``: the input in its frame
    dweight: Place  # in ``gradients``
    pitch: int  # from one row of dW to the next
    rows: int  # output channels
    y_rows: int  # table, for each channel: where it begins in a tile of dy
    taps: int  # C KH KW
    x_taps: int  # table, as in the forward pass
    strips: int
    strip_table: int  # table, three entries a strip: its place in dW, its first line, its lines
    line_table: int  # table, three entries a line: its place in dy, in x, its length in numbers
    y_tile: int  # from one tile to the next
    x_tile: int
    x_strip: int = 0  # as in ``Product``


class Strip(NamedTuple):
    """One strip of a ``ConvDWeight``: its places in dW and x, and its lines in ``tables``."""

    dweight: int
    x: int
    first: int
    last: int


Dots: TypeAlias = Callable[[ConvDWeight, Strip, int, int, int, Array, Array, Array], None]


def _make_dots(rows: int) -> Dots:
    """``rows`` (4 or 2) rows of dy against TAPS taps: sums of products, CELLS numbers each."""
    cells = rows * TAPS

    @inner()
    def dots(
        op: ConvDWeight,
        strip: Strip,
        row: int,
        tap: int,
        tiles: int,
        memory: Array,
        gradients: Array,
        tables: Array,
    ) -> None:
        # ``take`` repeats the last row or tap; what is too much is not added
        of_row = take(rows, tables, op.y_rows + row, op.y_rows + op.rows - 1)
        of_tap = take(TAPS, tables, op.x_taps + tap, op.x_taps + op.taps - 1)
        sums = repeat(cells, fill(CELLS, memory.dtype.type(0)))
        for t in range(tiles):
            for k in range(strip.first, strip.last, 3):
                dy = op.dy + t * op.y_tile + tables[at(k)]
                x = strip.x + t * op.x_tile + tables[at(k + 1)]
                for m in range(0, tables[at(k + 2)], CELLS):
                    of_dy = load_each(CELLS, memory, of_row, dy + m)
                    of_x = load_each(CELLS, memory, of_tap, x + m)
                    sums = add_outer(sums, of_dy, of_x)
        totals = total_each(sums)
        for r in range(min(rows, op.rows - row)):
            for k in range(min(TAPS, op.taps - tap)):
                place = strip.dweight + (row + r) * op.pitch + tap + k
                gradients[at(place)] += totals[r * TAPS + k]

    return dots


_four_dots, _two_dots = _make_dots(4), _make_dots(2)


@kernel
def conv_dweight(op: ConvDWeight, group: Group) -> None:
    """Strip by strip, four rows of dy against TAPS taps at a time."""
    arrays = group.memory, group.gradients, group.tables
    by_four, x = 4 * ((op.rows + 1) // 4), op.x + group.strip * op.x_strip
    for k in range(op.strip_table, op.strip_table + 3 * op.strips, 3):
        first = op.line_table + 3 * group.tables[at(k + 1)]
        last = first + 3 * group.tables[at(k + 2)]
        strip = Strip(op.dweight + group.tables[at(k)], x, first, last)
        for tap in range(0, op.taps, TAPS):
            for row in range(0, by_four, 4):
                _four_dots(op, strip, row, tap, group.tiles, *arrays)
            for row in range(by_four, op.rows, 2):
                _two_dots(op, strip, row, tap, group.tiles, *arrays)


class KernelGradient(NamedTuple):
    """dW[o, c, k] += what was summed as [k, o, c], once a step; k = i KW + j."""

    sums: Place  # in ``gradients``
    dweight: Place  # in ``gradients``
    cells: int  # KH KW
    outputs: int  # O
    channels: int  # C
    first: int  # the first output channel
    last: int  # the one after the last


@kernel
def kernel_gradient(op: KernelGradient, group: Group) -> None:
    """Number by number."""
    gradients, row = group.gradients, op.channels * op.cells
    for o in range(op.first, op.last):
        for k in range(op.cells):
            start, place = op.sums + (k * op.outputs + o) * op.channels, op.dweight + o * row + k
            for c in range(op.channels):
                gradients[at(place + c * op.cells)] += gradients[at(start + c)]


class SumRows(NamedTuple):
    """db[row] += the sum of a row of dy: of a channel's plane, or of a dense layer's output."""

    dy: Place  # in ``memory``
    dbias: Place  # in ``gradients``
    rows: int
    pitch: int  # from one row to the next
    length: int  # of a row in a tile, in numbers: a multiple of 16; or IMAGES
    tile: int  # from one tile to the next; 0: dy is a matrix of the whole group


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
