"""The kernels of a compiled plan: a whole training step over tiles of 16 images.

**Layout.** A tile holds 16 images with the image innermost: cell (c, h, w) of its 16 images lies in
16 neighbouring places, so every loop over images is one vector instruction, whatever the kernel,
stride or picture. A group is as many tiles as stay in a core's cache; a thread takes its groups one
by one through all instructions of the plan, forward and backward. Behind the flattening a group's
activations are a matrix (features, images of the group).

**One product.** Convolution, its input gradient and all three products of a dense layer are

    y[row] = sum_tap w[row, tap] x[tap]

where x[tap] and y[row] are runs of neighbouring cells, found in a table. For a convolution's line
of outputs the taps are (c, i, j), and x[tap] is the input's line oh SH + i DH from column j DW on:
the row (c, i, j) of im2col, used where it lies instead of being copied. ``product`` computes 4
rows x 64 cells at a time in registers. A convolution's weight gradient is ``dots``: 4 rows of dy
against 5 taps, 20 sums in registers.

**Instructions.** A plan is an array of ``INSTRUCTION`` records; ``run`` executes it. ``out``,
``inp`` and ``saved`` are places in the group's ``memory``; ``weight`` and ``bias`` places in
``weights`` and, for their gradients, in ``gradients``. Each kernel says what it computes; the plan
is made in ``minicnn.compiler``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import intrinsic, overload

from .arrays import LANES, MASK, RELU, SIGMOID, TANH
from .cpu.jit import FASTMATH, jit
from .cpu.optim import adadelta_cells, adam_cells, sgd_cells
from .cpu.random import philox
from .cpu.windows import at
from .lanes import (
    WHOLE,
    equal,
    fill,
    gather,
    gather_bytes,
    has_avx512,
    larger,
    limited,
    load,
    load_apart,
    power_of_two,
    reciprocal,
    store,
    store_apart,
    total,
    transpose,
    transpose_bytes,
    winner,
)

TAPS = 5  # that ``dots`` keeps in registers, with 4 rows
WIDE = 64 if has_avx512() else 16  # cells of each of 4 rows that ``product`` keeps there

FIELDS = (
    *("code", "out", "inp", "saved", "weight", "bias", "key", "kind", "result"),
    *("channels", "height", "width", "stride_width", "pad_height", "pad_width"),
    *("framed_height", "framed_width", "windows", "fours", "ones", "large", "small"),
    *("begin", "rows", "y_rows", "w_rows", "taps", "x_taps", "w_taps", "lines", "line_table"),
    *("out_line", "inp_line", "out_tile", "inp_tile", "length", "size", "pitch", "by_tile"),
)
INSTRUCTION = np.dtype([(name, np.int64) for name in FIELDS])

(
    PRODUCT_OF_LINES, PRODUCT_OF_GROUP, DENSE_DWEIGHT, CONV_DWEIGHT, SUM_ROWS, TURN, SET_ZERO,
    LOAD_IMAGES, FRAME, UNFRAME, FLATTEN, UNFLATTEN, AVG_POOL, AVG_POOL_BACKWARD, MAX_POOL,
    MAX_POOL_BACKWARD, ACTIVATE, ACTIVATE_BACKWARD, DROPOUT, MOMENTS,
    NORMALISE, NORMALISE_MOMENTS, NORMALISE_BACKWARD, GIVE_LOGITS, LOSS,
) = range(25)  # the codes of the instructions  # fmt: skip


def inner(**options: Any) -> Callable[..., Any]:
    """For what ``run`` calls: no counting of references to arrays (it would spill the registers),
    and no cache of its own, since ``run`` is kept on disk with all that it calls.
    """
    return lambda function: numba.njit(
        fastmath=FASTMATH,
        error_model="numpy",
        nogil=True,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        _nrt=False,
        **options,
    )(function)


# The product --------------------------------------------------------------------------------------

FROM_ZERO, FROM_BIAS, ADD = 0, 1, 2  # what a sum begins with: ADD to what stands in y


def _make_block(rows: int, width: int) -> Any:
    """``rows`` (4 or 2) rows of ``product`` by ``width`` cells, in registers."""

    @inner(forceinline=True)
    def block(y, y0, x, x0, row, last, y_rows, x_taps, taps, w, w0, w_rows, w_taps,
              bias, b0, begin, tables):  # fmt: skip
        row1, row2, row3 = min(row + 1, last), min(row + 2, last), min(row + 3, last)
        a0 = fill(width, y.dtype.type(0))
        a1, a2, a3 = a0, a0, a0
        if begin == FROM_BIAS:
            a0, a1 = fill(width, bias[at(b0 + row)]), fill(width, bias[at(b0 + row1)])
            if rows == 4:
                a2, a3 = fill(width, bias[at(b0 + row2)]), fill(width, bias[at(b0 + row3)])

        q0, q1 = w0 + tables[at(w_rows + row)], w0 + tables[at(w_rows + row1)]
        q2, q3 = w0 + tables[at(w_rows + row2)], w0 + tables[at(w_rows + row3)]
        for tap in range(taps):
            v = load(width, x, x0 + tables[at(x_taps + tap)])
            q = tables[at(w_taps + tap)]
            a0 = a0 + w[at(q0 + q)] * v
            a1 = a1 + w[at(q1 + q)] * v
            if rows == 4:
                a2 = a2 + w[at(q2 + q)] * v
                a3 = a3 + w[at(q3 + q)] * v

        # one row after the other: where rows are added to y they may overlap
        place = y0 + tables[at(y_rows + row)]
        store(y, place, a0 + load(width, y, place) if begin == ADD else a0)
        if row1 > row:
            place = y0 + tables[at(y_rows + row1)]
            store(y, place, a1 + load(width, y, place) if begin == ADD else a1)
        if rows == 4 and row2 > row1:
            place = y0 + tables[at(y_rows + row2)]
            store(y, place, a2 + load(width, y, place) if begin == ADD else a2)
        if rows == 4 and row3 > row2:
            place = y0 + tables[at(y_rows + row3)]
            store(y, place, a3 + load(width, y, place) if begin == ADD else a3)

    return block


def _make_band(rows: int) -> Any:
    """``rows`` rows of ``product``, from the first cell to the last."""
    block64, block32, block16 = (_make_block(rows, width) for width in (64, 32, 16))

    @inner()
    def band(length, y, y0, x, x0, *rest):
        m = 0
        if WIDE == 64:
            while m < length - 48:
                block64(y, y0 + m, x, x0 + m, *rest)
                m += 64
            if rows == 4 and m < length - 16:
                block32(y, y0 + m, x, x0 + m, *rest)
                m += 32
        while m < length:
            block16(y, y0 + m, x, x0 + m, *rest)
            m += 16

    return band


_four_rows, _two_rows = _make_band(4), _make_band(2)


@inner()
def product(length, y, y0, x, x0, rows, y_rows, x_taps, taps, w, w0, w_rows, w_taps,
            bias, b0, begin, tables):  # fmt: skip
    """y[row, m] = sum_tap w[row, tap] x[tap, m] for all rows and 0 <= m < length.

    y[row, m] is cell m of the run that begins at y0 + tables[y_rows + row], x[tap, m] of that at
    x0 + tables[x_taps + tap]; w[row, tap] is the number at
    w0 + tables[w_rows + row] + tables[w_taps + tap]. ``length`` counts as a multiple of 16.
    """
    rest = (y_rows, x_taps, taps, w, w0, w_rows, w_taps, bias, b0, begin, tables)
    by_four = 4 * ((rows + 1) // 4)  # the last four may be three
    for row in range(0, by_four, 4):
        _four_rows(length, y, y0, x, x0, row, rows - 1, *rest)
    for row in range(by_four, rows, 2):
        _two_rows(length, y, y0, x, x0, row, rows - 1, *rest)


@inner()
def product_of_lines(memory, op, tiles, weights, tables):
    """A convolution, tile by tile and line by line of its outputs; or its input gradient.

    ``line_table`` says for each line where it begins in y and x, and which taps it has: the first,
    and how many.

    Forward, rows are the output channels and taps the (c, i, j) of a window. The input gradient
    goes through the lines h of dx: rows are (c, j), taps the (i, o) whose line (h - i DH) / SH of
    dy exists; each row is *added* to dx from column j DW on, which is col2im.
    """
    for t in range(tiles):
        y, x = op.out + t * op.out_tile, op.inp + t * op.inp_tile
        for line in range(op.line_table, op.line_table + 4 * op.lines, 4):
            y0, x0 = y + tables[at(line)], x + tables[at(line + 1)]
            first, taps = tables[at(line + 2)], tables[at(line + 3)]
            product(op.length, memory, y0, memory, x0, op.rows, op.y_rows, op.x_taps + first, taps,
                    weights, op.weight, op.w_rows, op.w_taps + first, weights, op.bias, op.begin,
                    tables)  # fmt: skip


@inner()
def product_of_group(memory, op, tiles, weights, tables):
    """A dense layer for all images of the group: y = W x + b; or its input gradient dx = Wᵀ dy."""
    product(tiles * LANES, memory, op.out, memory, op.inp, op.rows, op.y_rows, op.x_taps,
            op.taps, weights, op.weight, op.w_rows, op.w_taps, weights, op.bias, op.begin,
            tables)  # fmt: skip


@inner()
def dense_dweight(memory, op, tiles, weights, gradients, tables):
    """dW[o, k] += sum_image dy[o, image] x[image, k], with x turned so that k runs along a row.

    A row of x ends in zeros up to a multiple of 16: they add nothing to the row below.
    """
    product(op.length, gradients, op.weight, memory, op.inp, op.rows, op.y_rows, op.x_taps,
            tiles * LANES, memory, op.saved, op.w_rows, op.w_taps, weights, op.bias, op.begin,
            tables)  # fmt: skip


@inner()
def turn(memory, op, tiles):
    """out[image, k] = inp[k, image]; each row of ``length`` cells, zeros behind the last."""
    whole = op.rows // 16 * 16
    for first in range(0, tiles * LANES, LANES):
        inp, out = op.inp + first, op.out + first * op.length
        for k in range(0, whole, 16):
            transpose(memory, out + k, op.length, memory, inp + k * op.pitch, op.pitch)
        for k in range(whole, op.length):
            for lane in range(LANES):
                cell = memory[at(inp + k * op.pitch + lane)] if k < op.rows else 0
                memory[at(out + lane * op.length + k)] = cell


# Weight gradients of a convolution ----------------------------------------------------------------


def _make_dots(rows: int) -> Any:
    """``rows`` (4 or 2) rows of dy against 5 taps: 20 sums of products, 16 cells each."""

    @inner(forceinline=True)
    def put(gradients, place, taps, a0, a1, a2, a3, a4):
        gradients[at(place)] += total(a0)
        if taps > 1:
            gradients[at(place + 1)] += total(a1)
        if taps > 2:
            gradients[at(place + 2)] += total(a2)
        if taps > 3:
            gradients[at(place + 3)] += total(a3)
        if taps > 4:
            gradients[at(place + 4)] += total(a4)

    @inner()
    def dots(memory, op, row, tap, tiles, gradients, tables):
        last = op.rows - 1
        row1, row2, row3 = min(row + 1, last), min(row + 2, last), min(row + 3, last)
        d0, d1 = tables[at(op.y_rows + row)], tables[at(op.y_rows + row1)]
        d2, d3 = tables[at(op.y_rows + row2)], tables[at(op.y_rows + row3)]
        taps, end = op.taps - tap, op.x_taps + op.taps - 1
        place = op.x_taps + tap
        x0, x1 = tables[at(place)], tables[at(min(place + 1, end))]
        x2, x3 = tables[at(min(place + 2, end))], tables[at(min(place + 3, end))]
        x4 = tables[at(min(place + 4, end))]

        zero = fill(16, memory.dtype.type(0))
        a00 = a01 = a02 = a03 = a04 = a10 = a11 = a12 = a13 = a14 = zero
        a20 = a21 = a22 = a23 = a24 = a30 = a31 = a32 = a33 = a34 = zero
        for t in range(tiles):
            for line in range(op.lines):
                dy = op.out + t * op.out_tile + line * op.out_line
                x = op.inp + t * op.inp_tile + line * op.inp_line
                for m in range(0, op.length, 16):
                    g0, g1 = load(16, memory, dy + d0 + m), load(16, memory, dy + d1 + m)
                    g2, g3 = g0, g1
                    if rows == 4:
                        g2, g3 = load(16, memory, dy + d2 + m), load(16, memory, dy + d3 + m)
                    v = load(16, memory, x + x0 + m)
                    a00, a10, a20, a30 = a00 + g0 * v, a10 + g1 * v, a20 + g2 * v, a30 + g3 * v
                    v = load(16, memory, x + x1 + m)
                    a01, a11, a21, a31 = a01 + g0 * v, a11 + g1 * v, a21 + g2 * v, a31 + g3 * v
                    v = load(16, memory, x + x2 + m)
                    a02, a12, a22, a32 = a02 + g0 * v, a12 + g1 * v, a22 + g2 * v, a32 + g3 * v
                    v = load(16, memory, x + x3 + m)
                    a03, a13, a23, a33 = a03 + g0 * v, a13 + g1 * v, a23 + g2 * v, a33 + g3 * v
                    v = load(16, memory, x + x4 + m)
                    a04, a14, a24, a34 = a04 + g0 * v, a14 + g1 * v, a24 + g2 * v, a34 + g3 * v

        dweight = op.weight + row * op.taps + tap
        put(gradients, dweight, taps, a00, a01, a02, a03, a04)
        if row1 > row:
            put(gradients, dweight + op.taps, taps, a10, a11, a12, a13, a14)
        if rows == 4 and row2 > row1:
            put(gradients, dweight + 2 * op.taps, taps, a20, a21, a22, a23, a24)
        if rows == 4 and row3 > row2:
            put(gradients, dweight + 3 * op.taps, taps, a30, a31, a32, a33, a34)

    return dots


_four_dots, _two_dots = _make_dots(4), _make_dots(2)


@inner()
def conv_dweight(memory, op, tiles, gradients, tables):
    """dW[o, (c, i, j)] += sum over images and outputs of dy[o] x[(c, i, j)]."""
    by_four = 4 * ((op.rows + 1) // 4)
    for tap in range(0, op.taps, TAPS):
        for row in range(0, by_four, 4):
            _four_dots(memory, op, row, tap, tiles, gradients, tables)
        for row in range(by_four, op.rows, 2):
            _two_dots(memory, op, row, tap, tiles, gradients, tables)


@inner()
def sum_rows(memory, op, tiles, gradients):
    """db[row] += the sum of a row of dy: a channel's plane, or a dense layer's output."""
    parts, length = (tiles, op.length) if op.by_tile else (1, tiles * LANES)
    whole, zero = length // 64 * 64, memory.dtype.type(0)
    for row in range(op.rows):
        wide, narrow = fill(64, zero), fill(16, zero)
        for t in range(parts):
            start = op.inp + t * op.inp_tile + row * op.pitch
            for m in range(start, start + whole, 64):
                wide = wide + load(64, memory, m)
            for m in range(start + whole, start + length, 16):
                narrow = narrow + load(16, memory, m)
        gradients[at(op.bias + row)] += total(wide) + total(narrow)


# Moving cells -------------------------------------------------------------------------------------


@inner()
def set_zero(memory, start, size):
    """size (a multiple of 16) zeros from ``start`` on."""
    zero = fill(16, memory.dtype.type(0))
    for m in range(start, start + size, 16):
        store(memory, m, zero)


@inner()
def _framed_cell(op, c, h, w):
    """Where cell (c, h, w) stands in the framed picture, counted in cells.

    Its columns are sorted by their rest modulo the stride: the columns that neighbouring windows
    see at one offset are then neighbours too.
    """
    column = w + op.pad_width
    line = (c * op.framed_height + h + op.pad_height) * op.stride_width
    if op.stride_width == 1:  # no division
        return line * op.framed_width + column
    return (line + column % op.stride_width) * op.framed_width + column // op.stride_width


@inner()
def load_images(memory, op, images, first, tiles, given):
    """Pictures, a batch's (image, c, h, w), into tiles, in a frame of zeros.

    Numbers are taken as they are; bytes (``kind`` is 1) are divided by 255. Places without an
    image get zeros.
    """
    cells = op.channels * op.height * op.width
    set_zero(memory, op.out, tiles * op.out_tile)
    for t in range(tiles):
        start, out = first + t * LANES, op.out + t * op.out_tile
        lanes = min(LANES, images - start)
        in_blocks = op.kind == 1 and op.width >= 16 and op.stride_width == 1 and lanes == LANES
        for c in range(op.channels):
            for h in range(op.height):
                line = start * cells + (c * op.height + h) * op.width
                if in_blocks:
                    _line_in_blocks(memory, op, out, c, h, given, line, cells)
                else:
                    _line_by_pixels(memory, op, out, c, h, given, line, cells, lanes)


@inner()
def _line_in_blocks(memory, op, out, c, h, given, line, cells):
    """Line h of channel c of 16 images, 16 pixels at a time."""
    for block in range(0, op.width, 16):
        w = min(block, op.width - 16)  # the last block reaches back into the one before
        place = out + _framed_cell(op, c, h, w) * LANES
        transpose_bytes(memory, place, LANES, given, line + w, cells, memory.dtype.type(255))


@inner()
def _line_by_pixels(memory, op, out, c, h, given, line, cells, lanes):
    """The same pixel by pixel, of ``lanes`` images."""
    for w in range(op.width):
        place = out + _framed_cell(op, c, h, w) * LANES
        if lanes == LANES:
            store(memory, place, _pixels(16, memory, op, given, line + w, cells))
        else:
            for lane in range(lanes):
                pixel = _pixels(1, memory, op, given, line + w + lane * cells, 0)
                store(memory, place + lane, pixel)


@inner(forceinline=True)
def _pixels(width, memory, op, given, start, step):
    width = numba.literally(width)
    if op.kind == 1:
        white = fill(width, memory.dtype.type(255))
        return gather_bytes(width, memory, given, start, step) / white
    return gather(width, memory, given, start, step)


@inner()
def frame(memory, op, tiles):
    """Pictures into a frame of zeros (padding), columns sorted by the stride."""
    set_zero(memory, op.out, tiles * op.out_tile)
    for t in range(tiles):
        inp, out = op.inp + t * op.inp_tile, op.out + t * op.out_tile
        for c in range(op.channels):
            for h in range(op.height):
                for w in range(op.width):
                    place = inp + ((c * op.height + h) * op.width + w) * LANES
                    store(memory, out + _framed_cell(op, c, h, w) * LANES, load(16, memory, place))


@inner()
def unframe(memory, op, tiles):
    """The opposite of ``frame``."""
    for t in range(tiles):
        inp, out = op.inp + t * op.inp_tile, op.out + t * op.out_tile
        for c in range(op.channels):
            for h in range(op.height):
                for w in range(op.width):
                    place = out + ((c * op.height + h) * op.width + w) * LANES
                    store(memory, place, load(16, memory, inp + _framed_cell(op, c, h, w) * LANES))


@inner()
def flatten(memory, op, tiles):
    """Tiles (tile, feature, 16) to the matrix (feature, image)."""
    for t in range(tiles):
        for f in range(op.rows):
            cells = load(16, memory, op.inp + (t * op.rows + f) * LANES)
            store(memory, op.out + f * op.pitch + t * LANES, cells)


@inner()
def unflatten(memory, op, tiles):
    """The opposite of ``flatten``."""
    for t in range(tiles):
        for f in range(op.rows):
            cells = load(16, memory, op.inp + f * op.pitch + t * LANES)
            store(memory, op.out + (t * op.rows + f) * LANES, cells)


# Pooling ------------------------------------------------------------------------------------------


class Pooling(NamedTuple):
    """What a pooling's loops need of its instruction: in registers, not read for each window."""

    inp: int
    out: int
    saved: int
    result: int
    share: int
    kind: int
    add: bool
    step: int


def _for_windows(for_windows: Callable[..., None]) -> Any:
    """A walk over the windows of a pooling, channel by channel.

    The table ``windows`` says for each where it lies in the small picture and in the large one, and
    which taps it has: the first, and how many. Each tap is two numbers: its place, counted from the
    window's, and its number i KW + j. First come ``fours``: windows that are met together with
    their three neighbours to the right; then, one by one, those at the edges.

    ``for_windows(cells, memory, weights, pool, x, y, window, first, last, tables)`` meets one
    window (16 cells, the images) or four (64): their taps lie at x, x + step, ... of the large
    picture, the windows side by side at y of the small one.
    """

    @inner()
    def walk(memory, weights, op, tiles, tables):
        pool = Pooling(op.inp, op.out, op.saved, op.result, op.weight, op.kind, op.begin == ADD,
                       op.stride_width * LANES)  # fmt: skip
        large, small = op.large, op.small
        fours, end = op.windows + 4 * op.fours, op.windows + 4 * (op.fours + op.ones)
        for plane in range(tiles * op.channels):
            for k in range(op.windows, end, 4):
                window, first = tables[at(k)], tables[at(k + 2)]
                last = first + 2 * tables[at(k + 3)]
                x, y = plane * large + tables[at(k + 1)], plane * small + window * LANES
                if k < fours:
                    for_windows(64, memory, weights, pool, x, y, window, first, last, tables)
                else:
                    for_windows(16, memory, weights, pool, x, y, window, first, last, tables)

    return walk


@inner(forceinline=True)
def _avg_windows(cells, memory, weights, pool, x, y, window, first, last, tables):
    a = fill(cells, memory.dtype.type(0))
    for tap in range(first, last, 2):
        a = a + load_apart(cells, memory, pool.inp + x + tables[at(tap)], pool.step)
    store(memory, pool.out + y, weights[at(pool.share + window)] * a)


@inner(forceinline=True)
def _avg_windows_backward(cells, memory, weights, pool, x, y, window, first, last, tables):
    g = weights[at(pool.share + window)] * load(cells, memory, pool.inp + y)
    for tap in range(first, last, 2):
        _put(cells, memory, pool, x + tables[at(tap)], g)


@inner(forceinline=True)
def _max_windows(cells, memory, weights, pool, x, y, window, first, last, tables):
    number = memory.dtype.type
    best, won = fill(cells, number(-np.inf)), fill(cells, number(tables[at(first + 1)]))
    for tap in range(first, last, 2):
        value = load_apart(cells, memory, pool.inp + x + tables[at(tap)], pool.step)
        won = winner(value, best, fill(cells, number(tables[at(tap + 1)])), won)
        best = winner(value, best, value, best)
    store(memory, pool.out + y, best)
    store(memory, pool.saved + y, won)


@inner(forceinline=True)
def _max_windows_backward(cells, memory, weights, pool, x, y, window, first, last, tables):
    number = memory.dtype.type
    dy, won = load(cells, memory, pool.inp + y), load(cells, memory, pool.saved + y)
    zero = fill(cells, number(0))
    for tap in range(first, last, 2):
        here = fill(cells, number(tables[at(tap + 1)]))
        _put(cells, memory, pool, x + tables[at(tap)], equal(won, here, dy, zero))


@inner(forceinline=True)
def _down(cells, memory, dy, y, kind):
    """dy times the slope of an activation with result y: s (1 - s), 1 - t²; or times a mask y.

    ReLU's slope is chosen, not multiplied: where y is 0, not even an infinite dy goes through.
    """
    number = memory.dtype.type
    if kind == SIGMOID:
        return dy * (y - y * y)
    if kind == TANH:
        return dy * (number(1) - y * y)
    if kind == RELU:
        zero = fill(cells, number(0))
        return equal(y, zero, zero, dy)
    if kind == MASK:
        return dy * y
    return dy


@inner(forceinline=True)
def _put(cells, memory, pool, x, g):
    """Add g to dx, or store what of it goes back through the activation before."""
    dx, y = pool.out + x, pool.result + x
    if pool.add:
        g = g + load_apart(cells, memory, dx, pool.step)
    else:
        g = _down(cells, memory, g, load_apart(cells, memory, y, pool.step), pool.kind)
    store_apart(memory, dx, pool.step, g)


_avg_pool, _avg_pool_backward = _for_windows(_avg_windows), _for_windows(_avg_windows_backward)
_max_pool, _max_pool_backward = _for_windows(_max_windows), _for_windows(_max_windows_backward)


@inner()
def avg_pool(memory, weights, op, tiles, tables):
    """The sum of each window's cells times the window's share (a table at ``weight``)."""
    _avg_pool(memory, weights, op, tiles, tables)


@inner()
def avg_pool_backward(memory, weights, op, tiles, tables):
    """Every cell of a window gets its share of dy. ``inp`` is dy, ``out`` dx.

    Windows that overlap add up; where they do not (``begin`` is FROM_ZERO) a cell is written once,
    and may go back through the activation before (``kind``, its results in ``result``) right away.
    """
    if op.begin == ADD:
        set_zero(memory, op.out, tiles * op.channels * op.large)
    _avg_pool_backward(memory, weights, op, tiles, tables)


@inner()
def max_pool(memory, weights, op, tiles, tables):
    """The largest cell of each window; ``saved`` keeps the number i KW + j of the tap that won."""
    _max_pool(memory, weights, op, tiles, tables)


@inner()
def max_pool_backward(memory, weights, op, tiles, tables):
    """dy goes to the tap that won. ``inp`` is dy, ``out`` dx; ``begin`` as for averages."""
    if op.begin == ADD:
        set_zero(memory, op.out, tiles * op.channels * op.large)
    _max_pool_backward(memory, weights, op, tiles, tables)


# Activations and dropout --------------------------------------------------------------------------


@inner()
def _sigmoid(x):
    """1 / (1 + exp(-x)), float32. As in ``cpu._exp``, exp is 2**n exp(r), |r| <= log(2) / 2.

    0 below -87, as ``cpu.sigmoid``.
    """
    f = np.float32
    whole, x = x, limited(x, f(-87), f(87))
    # n = -x / log(2), rounded: to so large a number as WHOLE nothing but whole numbers are added
    z = f(WHOLE) + f(-1 / math.log(2)) * x
    n = f(-WHOLE) + z
    r = f(-math.log(2)) * n - x
    # the Taylor series up to r**7 / 7!, in pairs: shorter to wait for than one term after the other
    r2 = r * r
    e01 = f(1) + r
    e23 = f(1 / 2) + f(1 / 6) * r
    e45 = f(1 / 24) + f(1 / 120) * r
    e67 = f(1 / 720) + f(1 / 5040) * r
    e = (e67 * r2 + e45) * (r2 * r2) + (e23 * r2 + e01)
    s = reciprocal(f(1) + e * power_of_two(z))
    return larger(x, whole, x - x, s)  # limited from below, x is larger than it was


@inner()
def _tanh(x):
    """tanh for float32: x P(x²) / Q(x²), the rational function that Eigen uses (MPL2; fast tanh).

    It passes 1 beyond +-9.1, where a float32 tanh is 1 within half a unit of the last place.
    """
    f = np.float32
    x = limited(x, f(-9.25), f(9.25))
    u = x * x
    p = f(2.00018790482477e-13) + f(-2.76076847742355e-16) * u
    p = f(-8.60467152213735e-11) + p * u
    p = f(5.12229709037114e-08) + p * u
    p = f(1.48572235717979e-05) + p * u
    p = f(6.37261928875436e-04) + p * u
    p = f(4.89352455891786e-03) + p * u
    q = f(1.18534705686654e-04) + f(1.19825839466702e-06) * u
    q = f(2.26843463243900e-03) + q * u
    q = f(4.89352518554385e-03) + q * u
    return limited(x * p * reciprocal(q), f(-1), f(1))


def _curve(width, memory, place, result, kind):  # type: ignore[no-untyped-def]
    raise NotImplementedError("only inside compiled code")


@overload(_curve, jit_options={"_nrt": False}, prefer_literal=True)
def _curve_of(width, memory, place, result, kind):
    """Sigmoid or tanh of the ``width`` cells at ``place``, stored at ``result``."""
    if memory.dtype == numba.types.float32:
        return _curve_float32
    return _curve_float64


def _curve_float32(width, memory, place, result, kind):
    x = load(width, memory, place)
    store(memory, result, _sigmoid(x) if kind == SIGMOID else _tanh(x))


def _curve_float64(width, memory, place, result, kind):
    for k in range(width):
        x = memory[at(place + k)]
        memory[at(result + k)] = 1 / (1 + math.exp(-x)) if kind == SIGMOID else math.tanh(x)


@inner()
def activate(memory, op, tiles):
    """Sigmoid, tanh or relu, cell by cell; ``out`` may be ``inp``."""
    size = op.size * tiles if op.by_tile else op.size
    end, away, kind = op.out + size, op.inp - op.out, op.kind
    if kind == RELU:
        zero = fill(16, memory.dtype.type(0))
        for k in range(op.out, end, 16):
            x = load(16, memory, k + away)
            store(memory, k, winner(x, zero, x, zero))
        return
    whole = op.out + size // WIDE * WIDE
    for k in range(op.out, whole, WIDE):
        _curve(WIDE, memory, k + away, k, kind)
    for k in range(whole, end, 16):
        _curve(16, memory, k + away, k, kind)


@inner()
def activate_backward(memory, op, tiles):
    """``_down`` in place of dy; ``saved`` holds the activation's result, or dropout's mask."""
    size = op.size * tiles if op.by_tile else op.size
    away = op.saved - op.out
    for k in range(op.out, op.out + size, 16):
        dy, y = load(16, memory, k), load(16, memory, k + away)
        store(memory, k, _down(16, memory, dy, y, op.kind))


@inner()
def dropout(memory, op, tiles, first, images, keys, weights):
    """out = inp * mask; the mask, 0 or 1 / (1 - p), is kept in ``saved``.

    The mask is that of ``random_uniform`` for the batch (image, feature): number
    k = image * features + feature takes word k % 4 of block k // 4. Features lie ``pitch`` places
    apart, tiles ``out_tile``. p and 1 / (1 - p) stand in ``weights`` at ``weight``.
    """
    seed, draw = keys[at(2 * op.key)], keys[at(2 * op.key + 1)]
    p, scale = weights[at(op.weight)], weights[at(op.weight + 1)]
    for t in range(tiles):
        lanes = min(LANES, images - first - t * LANES)
        for f in range(op.rows):
            for lane in range(lanes, LANES):  # no image there: zeros, not what stood there before
                place = t * op.out_tile + f * op.pitch + lane
                memory[at(op.saved + place)] = memory[at(op.out + place)] = 0
        for lane in range(lanes):
            begin = (first + t * LANES + lane) * op.rows
            for block in range(begin // 4, (begin + op.rows + 3) // 4):
                words = philox(np.uint64(block), draw, seed)
                for k in range(4):
                    f = 4 * block + k - begin
                    if 0 <= f < op.rows:
                        u = np.float32(words[k] >> np.uint64(8)) * np.float32(2.0**-24)
                        place = t * op.out_tile + f * op.pitch + lane
                        mask = scale if u >= p else memory.dtype.type(0)
                        memory[at(op.saved + place)] = mask
                        memory[at(op.out + place)] = memory[at(op.inp + place)] * mask


# Batch normalisation ------------------------------------------------------------------------------


@inner()
def moments(memory, op, tiles, first, images, sums):
    """For each channel the sums of x - k and of (x - k)² over the images, in float64.

    k is the first x that this thread sees of the channel (if it is finite): without it, the
    variance of numbers far from 0 would be a small difference of two large ones. ``sums`` at
    ``key``: k, both sums and the number of summands, C of each.
    """
    plane, channels = op.height * op.width, op.channels
    for t in range(tiles):
        lanes = min(LANES, images - first - t * LANES)
        for c in range(channels):
            start, place = op.inp + (t * channels + c) * plane * LANES, op.key + c
            if sums[at(place + 3 * channels)] == 0:
                x = np.float64(memory[at(start)])
                sums[at(place)] = x if x - x == 0 else 0
            k = sums[at(place)]
            s = q = np.float64(0)
            for cell in range(plane):
                for lane in range(lanes):
                    x = np.float64(memory[at(start + cell * LANES + lane)]) - k
                    s += x
                    q += x * x
            sums[at(place + channels)] += s
            sums[at(place + 2 * channels)] += q
            sums[at(place + 3 * channels)] += plane * lanes


@inner()
def normalise(memory, op, tiles, weights):
    """y = gamma (x - mean) / s + beta. At ``key`` in ``weights``: mean, 1 / s, gamma, beta."""
    plane = op.height * op.width * LANES
    for t in range(tiles):
        for c in range(op.channels):
            place = op.key + c
            mean, scale = weights[at(place)], weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            beta = weights[at(place + 3 * op.channels)]
            start = (t * op.channels + c) * plane
            for m in range(plane):
                z = (memory[at(op.inp + start + m)] - mean) * scale
                memory[at(op.out + start + m)] = z * gamma + beta


@inner()
def normalise_moments(memory, op, tiles, weights, sums):
    """For each channel the sums of dy and of dy z (dbeta and dgamma). ``inp``: dy, ``saved``: x."""
    plane = op.height * op.width * LANES
    for t in range(tiles):
        for c in range(op.channels):
            mean, scale = weights[at(op.key + c)], weights[at(op.key + op.channels + c)]
            start = (t * op.channels + c) * plane
            s = q = np.float64(0)
            for m in range(plane):
                dy = memory[at(op.inp + start + m)]
                s += np.float64(dy)
                q += np.float64(dy * ((memory[at(op.saved + start + m)] - mean) * scale))
            sums[at(op.bias + c)] += s
            sums[at(op.bias + op.channels + c)] += q


@inner()
def normalise_backward(memory, op, tiles, first, images, weights):
    """dx = (gamma dy - mean(dz) - z mean(dz z)) / s, in place of dy; 0 where there is no image.

    At ``key`` in ``weights``: mean, 1 / s, gamma, beta, mean(dz), mean(dz z).
    """
    plane, zero = op.height * op.width, memory.dtype.type(0)
    for t in range(tiles):
        lanes = min(LANES, images - first - t * LANES)
        for c in range(op.channels):
            place = op.key + c
            mean, scale = weights[at(place)], weights[at(place + op.channels)]
            gamma = weights[at(place + 2 * op.channels)]
            mean_dz = weights[at(place + 4 * op.channels)]
            mean_dzz = weights[at(place + 5 * op.channels)]
            start = (t * op.channels + c) * plane * LANES
            for cell in range(plane):
                for lane in range(LANES):
                    m = start + cell * LANES + lane
                    z = (memory[at(op.saved + m)] - mean) * scale
                    dx = (memory[at(op.out + m)] * gamma - mean_dz - z * mean_dzz) * scale
                    memory[at(op.out + m)] = dx if lane < lanes else zero


# Loss ---------------------------------------------------------------------------------------------


@inner()
def give_logits(memory, op, tiles, first, images, logits):
    """The group's scores (class, image) into the batch's (image, class)."""
    for image in range(min(tiles * LANES, images - first)):
        for c in range(op.rows):
            score = memory[at(op.inp + c * op.pitch + image)]
            logits[at((first + image) * op.rows + c)] = score


@inner()
def loss(memory, op, tiles, first, images, labels, weights, sums):
    """Softmax cross-entropy with class weights w and label smoothing s, and its gradient.

        loss = sum_c q_c w_c (-log p_c),   q_c = (1 - s) [c = label] + s / C
        dlogits_c = scale (p_c sum_k q_k w_k - q_c w_c)

    A label that is no class, or the ignored one, does not count. At ``key`` in ``weights``: s,
    scale, the ignored class, w. ``out``: dlogits. ``sums`` gets at ``bias`` the losses, and behind
    them how often the largest score is that of the label (as in NumPy the first one, or a NaN).
    """
    zero, one = memory.dtype.type(0), memory.dtype.type(1)
    smoothing, scale = weights[at(op.key)], weights[at(op.key + 1)]
    ignored, w0 = np.int64(weights[at(op.key + 2)]), op.key + 3
    spread = smoothing / memory.dtype.type(op.rows)
    losses, hits = np.float64(0), 0
    for image in range(tiles * LANES):
        x, dx = op.inp + image, op.out + image
        label = labels[at(first + image)] if first + image < images else -1
        counts = 0 <= label < op.rows and label != ignored
        largest, best = memory[at(x)], 0
        for c in range(1, op.rows):
            score = memory[at(x + c * op.pitch)]
            if not (score <= largest) and largest == largest:
                largest, best = score, c
        hits += best == label
        sum_e = sum_qw = sum_loss = zero
        for c in range(op.rows):
            e = math.exp(memory[at(x + c * op.pitch)] - largest)
            sum_e += e
            memory[at(dx + c * op.pitch)] = e
        log_sum = math.log(sum_e)
        for c in range(op.rows):
            q = spread + (one - smoothing if c == label else zero)
            qw = q * weights[at(w0 + c)]
            sum_qw += qw
            if qw != zero:
                sum_loss += qw * (log_sum - (memory[at(x + c * op.pitch)] - largest))
        for c in range(op.rows):
            q = spread + (one - smoothing if c == label else zero)
            p = memory[at(dx + c * op.pitch)] / sum_e
            d = scale * (p * sum_qw - q * weights[at(w0 + c)])
            memory[at(dx + c * op.pitch)] = d if counts else zero
        losses += np.float64(sum_loss) if counts else np.float64(0)
    sums[at(op.bias)] += losses
    sums[at(op.bias + 1)] += hits


# Parameters ---------------------------------------------------------------------------------------

# Of a parameter: the addresses of its numbers and of what the optimiser keeps for it (``state``: as
# many as it has, up to three); the number of its step; its place among the weights and gradients;
# its size. The kernels are shared among threads by these places: from ``first`` to before ``last``.
PARAMETER = np.dtype(
    [("address", np.int64), ("state", np.int64, 3)]
    + [(name, np.int64) for name in ("step", "place", "size")]
)


@intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to numbers of the dtype of ``like``."""
    pointer = numba.types.CPointer(like.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, like), generate


@jit
def _cells(parameter, first, last):
    """Which of the parameter's cells have their places from ``first`` to before ``last``."""
    begin = min(max(first - parameter.place, 0), parameter.size)
    return begin, min(max(last - parameter.place, begin), parameter.size)


@jit
def take(first, last, parameters, weights):
    """Copy the parameters from their addresses to their places."""
    for k in range(len(parameters)):
        p = parameters[k]
        x = numba.carray(_pointer(p.address, weights), p.size)
        begin, end = _cells(p, first, last)
        for cell in range(begin, end):
            weights[at(p.place + cell)] = x[at(cell)]


@jit
def _arrays(p, gradients):
    """A parameter's numbers, their gradients and, where there are, the arrays of its state."""
    x = numba.carray(_pointer(p.address, gradients), p.size)
    g = gradients[p.place : p.place + p.size]
    first = numba.carray(_pointer(p.state[0], gradients), p.size)
    second = numba.carray(_pointer(p.state[1], gradients), p.size)
    third = numba.carray(_pointer(p.state[2], gradients), p.size)
    return x, g, first, second, third


@jit
def update_sgd(
    first, last, parameters, gradients, lr, momentum, dampening, decay, nesterov, maximize
):
    """A step of ``cpu.sgd`` for each of the parameters, where they lie."""
    for k in range(len(parameters)):
        p = parameters[k]
        x, g, v, _, _ = _arrays(p, gradients)
        damping = 0.0 if p.step == 1 else dampening
        begin, end = _cells(p, first, last)
        sgd_cells(begin, end, x, g, v, lr, momentum, damping, decay, nesterov, maximize)


@jit
def update_adam(
    first, last, parameters, gradients, lr, beta1, beta2, eps, decay, decoupled, maximize
):
    """The same of ``cpu.adam``; with amsgrad there is a third state."""
    for k in range(len(parameters)):
        p = parameters[k]
        x, g, m, v, largest = _arrays(p, gradients)
        amsgrad = 1.0 if p.state[2] else 0.0
        begin, end = _cells(p, first, last)
        adam_cells(begin, end, x, g, m, v, largest, amsgrad, float(p.step), lr, beta1, beta2,
                   eps, decay, decoupled, maximize)  # fmt: skip


@jit
def update_adadelta(first, last, parameters, gradients, lr, rho, eps, decay, maximize):
    """The same of ``cpu.adadelta``."""
    for k in range(len(parameters)):
        p = parameters[k]
        x, g, v, u, _ = _arrays(p, gradients)
        begin, end = _cells(p, first, last)
        adadelta_cells(begin, end, x, g, v, u, lr, rho, eps, decay, maximize)


UPDATES = {"sgd": update_sgd, "adam": update_adam, "adadelta": update_adadelta}


# The program --------------------------------------------------------------------------------------


@partial(jit, _nrt=False)
def run(program, tables, memory, weights, gradients, sums, given, labels, keys, logits,
        first, last, images, group, anew):  # fmt: skip
    """Execute ``program`` for the tiles from ``first`` to before ``last``, ``group`` by ``group``.

    Args:
        program: INSTRUCTION records.
        tables: int64, the offsets of rows and taps.
        memory: (slots, size), this thread's; group g uses slot g % slots.
        weights: the parameters one after the other, then constants.
        gradients: this thread's, placed as the parameters; added to.
        sums: float64, this thread's sums (batch normalisation, the loss); added to.
        anew: set gradients and sums to zero at first.
        given: the batch's pictures, flat, as bytes.
        labels, keys: int64 (images,); uint64, the key of each dropout mask.
        logits: flat (images, classes), of ``images`` in the batch.
    """
    if anew:
        gradients[:] = 0
        sums[:] = 0
    for start in range(first, last, group):
        cells = memory[((start - first) // group) % len(memory)]
        tiles = min(group, last - start)
        image = start * LANES
        for k in range(len(program)):
            op = program[k]
            if op.code == PRODUCT_OF_LINES:
                product_of_lines(cells, op, tiles, weights, tables)
            elif op.code == PRODUCT_OF_GROUP:
                product_of_group(cells, op, tiles, weights, tables)
            elif op.code == DENSE_DWEIGHT:
                dense_dweight(cells, op, tiles, weights, gradients, tables)
            elif op.code == CONV_DWEIGHT:
                conv_dweight(cells, op, tiles, gradients, tables)
            elif op.code == SUM_ROWS:
                sum_rows(cells, op, tiles, gradients)
            elif op.code == TURN:
                turn(cells, op, tiles)
            elif op.code == SET_ZERO:
                set_zero(cells, op.out, op.size * tiles)
            elif op.code == LOAD_IMAGES:
                load_images(cells, op, images, image, tiles, given)
            elif op.code == FRAME:
                frame(cells, op, tiles)
            elif op.code == UNFRAME:
                unframe(cells, op, tiles)
            elif op.code == FLATTEN:
                flatten(cells, op, tiles)
            elif op.code == UNFLATTEN:
                unflatten(cells, op, tiles)
            elif op.code == AVG_POOL:
                avg_pool(cells, weights, op, tiles, tables)
            elif op.code == AVG_POOL_BACKWARD:
                avg_pool_backward(cells, weights, op, tiles, tables)
            elif op.code == MAX_POOL:
                max_pool(cells, weights, op, tiles, tables)
            elif op.code == MAX_POOL_BACKWARD:
                max_pool_backward(cells, weights, op, tiles, tables)
            elif op.code == ACTIVATE:
                activate(cells, op, tiles)
            elif op.code == ACTIVATE_BACKWARD:
                activate_backward(cells, op, tiles)
            elif op.code == DROPOUT:
                dropout(cells, op, tiles, image, images, keys, weights)
            elif op.code == MOMENTS:
                moments(cells, op, tiles, image, images, sums)
            elif op.code == NORMALISE:
                normalise(cells, op, tiles, weights)
            elif op.code == NORMALISE_MOMENTS:
                normalise_moments(cells, op, tiles, weights, sums)
            elif op.code == NORMALISE_BACKWARD:
                normalise_backward(cells, op, tiles, image, images, weights)
            elif op.code == GIVE_LOGITS:
                give_logits(cells, op, tiles, image, images, logits)
            elif op.code == LOSS:
                loss(cells, op, tiles, image, images, labels, weights, sums)
