"""One image: a register holds neighbouring pixels of it, not one pixel of 16 images.

A plan for one image (``minicnn.compiler.cpu.pixels``) runs once for each image of a small batch. A
channel lies line by line; after a line there may be cells that mean nothing, up to the next one.
Convolutions are ``Product`` here too, and activations the same instructions as for tiles; what else
a prediction needs stands in this file.

The parameters are read where the net has them, and nothing after the last one: see ``partial``. A
plan's own memory has room for a register or two after its last cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array
from ..cpu.windows import at
from .blocks import add_outer, load_each, repeat, take, totals
from .instruction import Group, Place, inner, kernel
from .lanes import Vector, fill, load, store, winner
from .partial import (
    first_cells,
    load_each_first,
    load_every,
    load_first,
    load_second,
    read_bytes,
    read_numbers,
    store_first,
)
from .product import CELLS, FROM_BIAS


class ImageOfBytes(NamedTuple):
    """An image of the batch, of bytes, over 255."""

    out: Place
    size: int  # C H W


class ImageOfNumbers(NamedTuple):
    """An image of the batch, of numbers."""

    out: Place
    size: int  # C H W


@kernel
def image_of_bytes(op: ImageOfBytes, group: Group) -> None:
    """16 bytes at a time."""
    memory, white = group.memory, fill(16, group.memory.dtype.type(255))
    start = group.first * op.size
    for m in range(0, op.size, 16):
        pixels = read_bytes(16, memory, group.pictures, start + m, op.size - m)
        store(memory, op.out + m, pixels / white)


@kernel
def image_of_numbers(op: ImageOfNumbers, group: Group) -> None:
    """16 numbers at a time."""
    memory, start = group.memory, group.first * op.size
    for m in range(0, op.size, 16):
        numbers = read_numbers(16, memory, group.pictures, start + m, op.size - m)
        store(memory, op.out + m, numbers)


class PixelFrame(NamedTuple):
    """A picture with other cells around it, in copies for the windows of a convolution.

    Copy j of a channel has of each line what the windows see through column j of the kernel: every
    SW-th cell, from j DW on. Its lines are sorted by their remainder modulo SH: a copy is SH small
    pictures. So what the windows of neighbouring lines see lies in neighbouring lines.
    """

    channels: int
    height: int  # of the picture
    width: int
    top: int  # lines above it
    left: int  # columns before it
    stride_down: int  # SH
    stride_right: int  # SW
    lines: int  # of each of the small pictures
    columns: int
    copies: int = 1  # of each channel
    apart: int = 0  # columns from the first cell of a copy to that of the next one: DW


class Reframe(NamedTuple):
    """A picture into a frame, or into one without cells that mean nothing."""

    x: Place
    y: Place
    x_channel: int  # from one channel to the next
    filled: Place  # in ``weights``: the number around the picture
    frame: PixelFrame  # how it lies in y


@kernel
def reframe(op: Reframe, group: Group) -> None:
    """One small picture after the other, line by line, 16 columns at a time."""
    memory, of = group.memory, op.frame
    sh, sw, small = of.stride_down, of.stride_right, of.lines * of.columns
    around = fill(16, group.weights[at(op.filled)])
    for m in range(0, of.channels * of.copies * sh * small, 16):
        store(memory, op.y + m, around)
    for number in range(of.channels * of.copies * sh):
        c, j, remainder = number // (of.copies * sh), number // sh % of.copies, number % sh
        # its first cell sees this column of the picture; the first column, and line, that is one
        w = j * of.apart - of.left
        k, h = max(0, (sw - 1 - w) // sw), (remainder - of.top) % sh
        count = min(of.columns, (of.width - w + sw - 1) // sw) - k
        x = op.x + c * op.x_channel + w + k * sw
        y = op.y + number * small + (h + of.top) // sh * of.columns + k
        for line in range(x + h * of.width, x + of.height * of.width, sh * of.width):
            for m in range(0, count, 16):
                cells = _every(memory, line + m * sw, sw, count - m)
                # what is stored after the line's end is the frame, or comes to stand there later
                store(memory, y + m, first_cells(count - m, cells, around))
            y += of.columns


@inner(forceinline=True)
def _every(memory: Array, start: int, step: int, count: int) -> Vector:
    """16 cells that lie ``step`` apart; after the first ``count`` of them, any."""
    if step == 1:
        return load(16, memory, start)
    if step == 2:
        return load_second(16, memory, start)
    return load_every(16, memory, start, step, min(count, 16))


class PixelWindows(NamedTuple):
    """The windows of a pooling, which all lie inside the picture or its frame."""

    channels: int
    lines: int  # of windows
    columns: int
    taps_down: int  # KH
    taps_right: int  # KW
    down: int  # places in x from a tap to the one below it
    right: int  # and to the one on its right
    x_line: int  # from a line of windows to the next one
    x_step: int  # from a window to the one on its right
    x_channel: int


Visit: TypeAlias = Callable[[Any, int, int, int, int, Group], None]


def _for_windows(visit: Visit) -> Callable[[Any, Group], None]:
    """A walk over the windows, up to 16 of a line at a time, that calls ``visit``.

    ``visit(op, x, y, window, count, group)`` computes ``count`` windows side by side (or 16, if it
    is more): the first begins at x, has the number ``window``, and its result belongs to y.
    """

    @inner()
    def walk(op: Any, group: Group) -> None:
        of = op.windows
        for c in range(of.channels):
            for line in range(of.lines):
                x = op.x + c * of.x_channel + line * of.x_line
                for m in range(0, of.columns, 16):
                    window = line * of.columns + m
                    y = op.y + c * of.lines * of.columns + window
                    visit(op, x + m * of.x_step, y, window, of.columns - m, group)

    return walk


class AvgPoolPixels(NamedTuple):
    """The sum of each window's cells times the window's share."""

    x: Place
    y: Place
    share: Place  # in ``weights``: 1 / divisor, a number a window
    windows: PixelWindows


@_for_windows
@inner(forceinline=True)
def _avg(op: AvgPoolPixels, x: int, y: int, window: int, count: int, group: Group) -> None:
    memory, of = group.memory, op.windows
    a = fill(16, memory.dtype.type(0))
    for i in range(of.taps_down):
        for j in range(of.taps_right):
            a = a + _every(memory, x + i * of.down + j * of.right, of.x_step, count)
    # after the last share other numbers are read, for windows that there are not
    store(memory, y, load(16, group.weights, op.share + window) * a)


@kernel
def avg_pool_pixels(op: AvgPoolPixels, group: Group) -> None:
    """16 windows of a line at a time."""
    _avg(op, group)


class MaxPoolPixels(NamedTuple):
    """The largest cell of each window."""

    x: Place
    y: Place
    windows: PixelWindows


@_for_windows
@inner(forceinline=True)
def _max(op: MaxPoolPixels, x: int, y: int, window: int, count: int, group: Group) -> None:
    memory, of = group.memory, op.windows
    best = fill(16, memory.dtype.type(-np.inf))
    for i in range(of.taps_down):
        for j in range(of.taps_right):
            value = _every(memory, x + i * of.down + j * of.right, of.x_step, count)
            best = winner(value, best, value, best)
    store(memory, y, best)


@kernel
def max_pool_pixels(op: MaxPoolPixels, group: Group) -> None:
    """16 windows of a line at a time; a NaN wins against every number."""
    _max(op, group)


class DenseOfOne(NamedTuple):
    """y = W x + b for one image: for each output a row of W times x."""

    x: Place
    y: Place
    w: Place  # (O, K), as the net has it
    w_rows: int  # table: where each row begins
    outputs: int  # O
    features: int  # K
    begin: int  # FROM_ZERO or FROM_BIAS, as in a ``Product``
    bias: Place  # read if ``begin`` is FROM_BIAS


@kernel
def dense_of_one(op: DenseOfOne, group: Group) -> None:
    """CELLS rows of W by CELLS features at a time; each row's products are added up at last."""
    memory, weights, k = group.memory, group.weights, op.features
    whole, last = k // CELLS * CELLS, op.w_rows + op.outputs - 1
    for row in range(0, op.outputs, CELLS):
        # the last row again where there are fewer: stored after y's end
        rows = take(CELLS, group.tables, op.w_rows + row, last)
        sums = repeat(CELLS, fill(CELLS, memory.dtype.type(0)))
        for m in range(0, whole, CELLS):
            w = load_each(CELLS, weights, rows, op.w + m)
            sums = add_outer(sums, w, (load(CELLS, memory, op.x + m),))
        if whole < k:
            w = load_each_first(CELLS, weights, rows, op.w + whole, k - whole)
            sums = add_outer(sums, w, (load_first(CELLS, memory, op.x + whole, k - whole),))
        y = totals(sums)
        if op.begin == FROM_BIAS:
            y = y + load_first(CELLS, weights, op.bias + row, op.outputs - row)
        store(memory, op.y + row, y)


class NormalisePixels(NamedTuple):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, in place of x."""

    x: Place
    mean: Place  # in ``weights``, as the next four
    var: Place
    eps: Place
    gamma: Place
    beta: Place
    is_affine: int  # 0: gamma is 1 and beta 0, and they have no places
    channels: int
    size: int  # of a channel, with all cells of its lines


@kernel
def normalise_pixels(op: NormalisePixels, group: Group) -> None:
    """16 cells at a time."""
    memory, weights = group.memory, group.weights
    number = memory.dtype.type
    for c in range(op.channels):
        mean = weights[at(op.mean + c)]
        scale = number(1) / np.sqrt(weights[at(op.var + c)] + weights[at(op.eps)])
        gamma = weights[at(op.gamma + c)] if op.is_affine else number(1)
        beta = weights[at(op.beta + c)] if op.is_affine else number(0)
        start = op.x + c * op.size
        for m in range(0, op.size, 16):
            z = scale * (load(16, memory, start + m) - fill(16, mean))
            y = gamma * z + fill(16, beta)
            if m + 16 <= op.size:
                store(memory, start + m, y)
            else:  # the next channel is not to be touched
                store_first(memory, start + m, op.size - m, y)


class GiveResult(NamedTuple):
    """The result of an image into the batch's ``logits``, (image, cell)."""

    x: Place
    size: int


@kernel
def give_result(op: GiveResult, group: Group) -> None:
    """16 cells at a time."""
    for m in range(0, op.size, 16):
        cells = load_first(16, group.memory, op.x + m, op.size - m)
        store_first(group.logits, group.first * op.size + m, op.size - m, cells)
